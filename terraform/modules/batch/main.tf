resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/batch/${var.name_prefix}"
  retention_in_days = var.log_retention_in_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_security_group" "this" {
  name        = "${var.name_prefix}-batch"
  description = "Jobs reach HTTPS services; nothing reaches a job."
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name_prefix}-batch" })
}

# Where the jobs' subnets have no route to the internet, this reaches the VPC's endpoints alone.
resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this.id
  description       = "HTTPS to AWS."
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# Without a name the environment gets a generated one, so that a change which replaces it can make the new one before
# the queue lets go of the old one. Without a service role Batch uses its service-linked one, which in-place changes
# of the network need. `compute_resources` has no tags: a change of them would replace the environment.
resource "aws_batch_compute_environment" "this" {
  type  = "MANAGED"
  state = "ENABLED"
  tags  = var.tags

  compute_resources {
    type               = var.compute_type
    max_vcpus          = var.max_vcpus
    subnets            = var.subnet_ids
    security_group_ids = [aws_security_group.this.id]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_batch_job_queue" "this" {
  name     = "${var.name_prefix}-jobs"
  state    = "ENABLED"
  priority = 1
  tags     = var.tags

  compute_environment_order {
    order               = 1
    compute_environment = aws_batch_compute_environment.this.arn
  }
}

resource "aws_batch_job_definition" "this" {
  name                  = "${var.name_prefix}-program"
  type                  = "container"
  platform_capabilities = ["FARGATE"]
  propagate_tags        = true
  tags                  = var.tags

  # A campaign that is running goes on with the revision that its jobs were submitted with.
  deregister_on_new_revision = false

  container_properties = jsonencode({
    image            = var.image
    command          = var.command
    jobRoleArn       = aws_iam_role.job.arn
    executionRoleArn = aws_iam_role.execution.arn
    environment      = [for name, value in var.environment : { name = name, value = value }]
    resourceRequirements = [
      { type = "VCPU", value = tostring(var.job.vcpus) },
      { type = "MEMORY", value = tostring(var.job.memory_mib) },
    ]
    networkConfiguration = { assignPublicIp = "DISABLED" }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = var.aws_region
        awslogs-stream-prefix = "program"
      }
    }
  })

  retry_strategy {
    attempts = var.job.attempts

    # The program ends with 2 when its input is wrong: another attempt would find the same. Anything else is tried again.
    evaluate_on_exit {
      action       = "EXIT"
      on_exit_code = "2"
    }
  }

  timeout {
    attempt_duration_seconds = var.job.timeout_seconds
  }

  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.job]
}
