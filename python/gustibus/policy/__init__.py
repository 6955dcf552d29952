"""Training language models: their losses, trainers of TRL, tree search, distillation, diffusion."""
