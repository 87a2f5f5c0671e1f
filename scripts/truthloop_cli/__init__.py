"""The operator's command line: `truthloop …`."""
