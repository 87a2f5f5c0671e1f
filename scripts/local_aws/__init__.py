"""An AWS on this machine: moto plus what moto lacks, for the demo, the tests and work without an account.

Each module adds one thing: `step_functions`, `lambda_functions`, `batch`, `events`, `sagemaker`,
`training_jobs`, `s3`. They tell one another of what happens by plain calls: `events.emit` puts an event on
the default bus, `lambda_functions.invoke` runs a deployed function, `calls.record` notes what a role did, and
`control.route` adds a command to the control plane.
"""
