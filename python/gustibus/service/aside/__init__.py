"""What the processes of jobs do: one file a kind, run as `python -m gustibus.service.aside.NAME`."""
