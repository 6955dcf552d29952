"""From a raw reward to the number that is used: transforms, combination, further sources."""
