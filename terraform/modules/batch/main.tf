locals {
  makes_queue   = var.job_queue_arn == null
  uses_ec2      = contains(["EC2", "SPOT"], var.compute_type)
  makes_fleet   = local.makes_queue && local.uses_ec2
  interruptible = contains(["FARGATE_SPOT", "SPOT"], var.compute_type)

  # A reclaimed host costs an attempt, too.
  attempts = coalesce(var.job.attempts, local.interruptible ? 5 : 2)
}

resource "aws_cloudwatch_log_group" "this" {
  name              = local.log_group_name
  retention_in_days = var.log_retention_in_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_security_group" "this" {
  count = local.makes_queue ? 1 : 0

  name        = "${var.name_prefix}-batch"
  description = "Jobs reach HTTPS services; nothing reaches a job."
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name_prefix}-batch" })
}

# Where the jobs' subnets have no route to the internet, this reaches the VPC's endpoints alone.
resource "aws_vpc_security_group_egress_rule" "https" {
  count = local.makes_queue ? 1 : 0

  security_group_id = aws_security_group.this[0].id
  description       = "HTTPS to AWS."
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

# Batch adds the image, the network, the instance profile and the script that joins the cluster.
resource "aws_launch_template" "this" {
  count = local.makes_fleet ? 1 : 0

  name        = "${var.name_prefix}-batch"
  description = "Instances that run the jobs of ${var.name_prefix}."
  tags        = var.tags

  # Jobs use the instance's own network, so one hop is enough for all that runs on it.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  # The root device of the images that Batch chooses.
  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted             = true
      kms_key_id            = var.root_volume.kms_key_arn
      volume_type           = "gp3"
      volume_size           = var.root_volume.size_gib
      delete_on_termination = true
    }
  }

  # The provider's default tags don't reach what Batch launches.
  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume"])

    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, { Name = "${var.name_prefix}-batch" })
    }
  }
}

# Without a name the environment gets a generated one, so that a change which replaces it can make the new one before
# the queue lets go of the old one. Without a service role Batch uses its service-linked one, which in-place changes
# need, as they need these allocation strategies; version 5 of the provider replaces an environment of SPOT even so.
# `compute_resources` has no tags: a change of them would replace the environment.
resource "aws_batch_compute_environment" "this" {
  count = local.makes_queue ? 1 : 0

  type  = "MANAGED"
  state = "ENABLED"
  tags  = var.tags

  compute_resources {
    type                = var.compute_type
    max_vcpus           = var.max_vcpus
    min_vcpus           = local.uses_ec2 ? 0 : null
    subnets             = var.subnet_ids
    security_group_ids  = aws_security_group.this[*].id
    instance_type       = local.uses_ec2 ? var.instance_types : null
    instance_role       = one(aws_iam_instance_profile.this[*].arn)
    allocation_strategy = lookup({ EC2 = "BEST_FIT_PROGRESSIVE", SPOT = "SPOT_PRICE_CAPACITY_OPTIMIZED" }, var.compute_type, null)

    dynamic "launch_template" {
      for_each = aws_launch_template.this

      content {
        launch_template_id = launch_template.value.id
        # By its number: a new version then shows in the plan and reaches the instances, which $Latest would not do.
        version = launch_template.value.latest_version
      }
    }

    dynamic "ec2_configuration" {
      for_each = local.uses_ec2 ? [true] : []

      content {
        image_type = var.job.gpus > 0 ? "ECS_AL2023_NVIDIA" : "ECS_AL2023"
      }
    }
  }

  # When a change replaces the instances, jobs that run may end on the old ones, for as long as Batch allows.
  dynamic "update_policy" {
    for_each = local.uses_ec2 ? [true] : []

    content {
      job_execution_timeout_minutes = min(360, ceil(var.job.timeout_seconds / 60))
      terminate_jobs_on_update      = false
    }
  }

  lifecycle {
    create_before_destroy = true
    # Batch itself moves it with the jobs that wait.
    ignore_changes = [compute_resources[0].desired_vcpus]
  }

  depends_on = [aws_iam_role_policy.instance]
}

resource "aws_batch_job_queue" "this" {
  count = local.makes_queue ? 1 : 0

  name     = "${var.name_prefix}-jobs"
  state    = "ENABLED"
  priority = 1
  tags     = var.tags

  compute_environment_order {
    order               = 1
    compute_environment = aws_batch_compute_environment.this[0].arn
  }

  # A job that can never start would otherwise wait, and block the queue, without an end.
  # https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable_time_limit_actions.html
  dynamic "job_state_time_limit_action" {
    for_each = merge(
      {
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE" = 600
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"         = 600
      },
      # Instances that are sold out often come back within hours.
      local.uses_ec2 ? { "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY" = 14400 } : {},
    )

    content {
      state            = "RUNNABLE"
      action           = "CANCEL"
      reason           = job_state_time_limit_action.key
      max_time_seconds = job_state_time_limit_action.value
    }
  }
}

resource "aws_batch_job_definition" "this" {
  name                  = "${var.name_prefix}-program"
  type                  = "container"
  platform_capabilities = [local.uses_ec2 ? "EC2" : "FARGATE"]
  propagate_tags        = true
  tags                  = var.tags

  # A campaign that is running goes on with the revision that its jobs were submitted with.
  deregister_on_new_revision = false

  container_properties = jsonencode(merge(
    {
      image            = var.image
      command          = var.command
      jobRoleArn       = aws_iam_role.job.arn
      executionRoleArn = aws_iam_role.execution.arn
      environment      = [for name, value in var.environment : { name = name, value = value }]
      resourceRequirements = concat(
        [
          { type = "VCPU", value = tostring(var.job.vcpus) },
          { type = "MEMORY", value = tostring(var.job.memory_mib) },
        ],
        var.job.gpus > 0 ? [{ type = "GPU", value = tostring(var.job.gpus) }] : [],
      )
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.this.name
          awslogs-region        = var.aws_region
          awslogs-stream-prefix = "program"
        }
      }
    },
    local.uses_ec2 ? {} : { networkConfiguration = { assignPublicIp = "DISABLED" } },
  ))

  # The first entry that matches decides, and what matches none is tried again. Batch takes five at most.
  retry_strategy {
    attempts = local.attempts

    # An instance that was reclaimed or that failed.
    evaluate_on_exit {
      action           = "RETRY"
      on_status_reason = "Host EC2*"
    }

    # The same of Fargate Spot, in the words of ECS.
    evaluate_on_exit {
      action           = "RETRY"
      on_status_reason = "Your Spot Task was interrupted*"
    }

    # The program ends with 2 when its input is wrong: another attempt would find the same.
    evaluate_on_exit {
      action       = "EXIT"
      on_exit_code = "2"
    }

    # The image is not there, or may not be pulled; ECS has tried it several times. Which field says so depends on when
    # the task failed.
    evaluate_on_exit {
      action    = "EXIT"
      on_reason = "CannotPullContainerError*"
    }

    evaluate_on_exit {
      action           = "EXIT"
      on_status_reason = "CannotPullContainerError*"
    }
  }

  timeout {
    attempt_duration_seconds = var.job.timeout_seconds
  }

  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.job]
}
