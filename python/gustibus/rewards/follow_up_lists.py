"""What satisfied and dissatisfied people say next, in six respects, ten short turns on each side."""

from __future__ import annotations

FOLLOW_UPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "understanding": (
        (
            "You got exactly what I was asking.", "Yes, that is my question.",
            "You understood my situation.", "That is just what I meant.", "Right, you follow me.",
            "You read my mind.", "Good, you saw what matters to me.", "Yes, that was the point.",
            "You caught what I had in mind.", "Exactly, you know what I am after.",
        ),
        (
            "That is not what I asked.", "You misread my question.", "No, I meant something else.",
            "You do not follow me.", "You missed my point.", "That was not the question.",
            "Please read my message again.", "You have it the wrong way round.",
            "I think you are confused about what I want.", "No, you took me wrong.",
        ),
    ),
    "relevance": (
        (
            "That is right on topic.", "This is what I needed to hear.", "That fits my question.",
            "You stayed with the subject.", "All of that matters here.", "That applies to me.",
            "That speaks to my problem.", "No detours, good.", "That is to the point.",
            "This bears directly on it.",
        ),
        (
            "That is beside the point.", "What has that to do with it?", "You changed the subject.",
            "That does not apply to me.", "Please stay on topic.", "I did not ask about that.",
            "None of that helps with this.", "You are rambling.", "That is another matter.",
            "How is that related?",
        ),
    ),
    "correctness": (
        (
            "I checked, and you are right.", "That is correct.", "Yes, that is how it is.",
            "The numbers add up.", "That agrees with my book.", "It worked as you said.",
            "True, I can confirm that.", "No mistakes there.", "That matches what I found.",
            "Your facts are right.",
        ),
        (
            "That is wrong.", "I checked, and it is not so.", "You made a mistake.",
            "The numbers do not add up.", "That contradicts what you said before.",
            "It did not work.", "That is not true.", "You made that up.",
            "There is an error in your answer.", "Your facts are off.",
        ),
    ),
    "engagingness": (
        (
            "Interesting, tell me more.", "I would love to hear the rest.", "What happens then?",
            "That made me curious.", "This is fun, go on.", "I could talk about this for hours.",
            "Now I want to try it.", "That is fascinating.", "You made me laugh.",
            "I enjoyed reading that.",
        ),
        (
            "This is boring.", "Never mind, forget it.", "I have lost interest.",
            "You sound like a manual.", "Can we talk about something else?", "How dull.",
            "I stopped reading halfway.", "That put me to sleep.", "I do not care any more.",
            "This goes nowhere.",
        ),
    ),
    "informativeness": (
        (
            "I learned something new.", "Thanks for the details.", "I did not know that.",
            "That explains a lot.", "Now I have all I need.", "That is very thorough.",
            "The examples helped.", "That answers it fully.", "Great, so many useful facts.",
            "That taught me more than the book.",
        ),
        (
            "That tells me nothing.", "I knew that already.", "Can you be more specific?",
            "You left out the important part.", "That is too vague.", "Where are the details?",
            "You only repeated my question.", "That is hardly an answer.",
            "I am no wiser than before.", "Give me something concrete.",
        ),
    ),
    "instruction following": (
        (
            "You did just what I told you.", "That is the format I wanted.",
            "Good, you kept to the limit.", "You covered every item on my list.",
            "That is how I asked for it.", "You stuck to my rules.", "All my conditions are met.",
            "The length is right.", "You left nothing out that I asked for.",
            "Done to the letter, thanks.",
        ),
        (
            "I told you not to do that.", "That is not the format I asked for.",
            "That is longer than I allowed.", "You skipped half of my list.",
            "You ignored my instructions.", "I asked for something else in the last line.",
            "You broke the rule that I gave you.", "Do it again the way I said.",
            "I gave a limit, and you went over it.", "You forgot one of my conditions.",
        ),
    ),
}  # fmt: skip
"""From dimension to positive and negative follow-ups; the wording is the project's own."""
