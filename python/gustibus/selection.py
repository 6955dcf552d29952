"""Which of several sampled answers to give: best of n, majority, best of majority."""
