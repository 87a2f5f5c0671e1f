"""An AWS on this machine: moto plus what moto lacks, for the demo, the tests and work without an account.

Each module adds one thing: `step_functions`, `lambda_functions`, `batch`, `events`, `logs`, `sagemaker` with
`labeling_jobs` and the `portal` for people who label, `cognito`, which knows their names, `training_jobs`,
`s3`, `dynamodb`. They tell one another of what
happens by plain calls: `events.emit` puts an event on the default bus, `lambda_functions.invoke` runs a
deployed function, and `control.route` adds a command to the control plane.

What a role does is allowed by its policies or refused. `gate` asks for every request that is made with a
role's credentials, and the modules ask where a service itself acts as a role: `resources` knows which actions
on which ARNs that takes, `authorization.check` decides by the policies in moto's IAM and has `calls` record
it, `policies` is the language that policies are written in.
"""
