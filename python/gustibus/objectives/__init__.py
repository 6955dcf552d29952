"""What training minimises: functions of margins, lists and representations, in torch."""
