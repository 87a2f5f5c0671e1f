# The module batch on all that jobs can run on: what AWS Batch would get, with the roles' ARNs said here.

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "AKIAEXAMPLEEXAMPLE"
  secret_key                  = "nobody-is-asked"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}

variables {
  name_prefix          = "my-team"
  account_id           = "111122223333"
  aws_region           = "us-east-1"
  vpc_id               = "vpc-0123456789abcdef0"
  subnet_ids           = ["subnet-0123456789abcdef0"]
  image                = "111122223333.dkr.ecr.us-east-1.amazonaws.com/my-program:3f2a9c1"
  image_repository_arn = "arn:aws:ecr:us-east-1:111122223333:repository/my-program"
  command              = ["Ref::subcommand"]
  job_policy_json      = "{\"Version\": \"2012-10-17\", \"Statement\": []}"
}

override_resource {
  target          = aws_iam_role.execution
  override_during = plan
  values          = { arn = "arn:aws:iam::111122223333:role/execution" }
}

override_resource {
  target          = aws_iam_role.job
  override_during = plan
  values          = { arn = "arn:aws:iam::111122223333:role/job" }
}

run "fargate" {
  command = plan

  module {
    source = "./modules/batch"
  }

  variables {
    job = { vcpus = 0.5, memory_mib = 1024 }
  }

  assert {
    condition = jsondecode(aws_batch_job_definition.this.container_properties) == {
      image            = "111122223333.dkr.ecr.us-east-1.amazonaws.com/my-program:3f2a9c1"
      command          = ["Ref::subcommand"]
      jobRoleArn       = "arn:aws:iam::111122223333:role/job"
      executionRoleArn = "arn:aws:iam::111122223333:role/execution"
      environment      = []
      resourceRequirements = [
        { type = "VCPU", value = "0.5" },
        { type = "MEMORY", value = "1024" },
      ]
      networkConfiguration = { assignPublicIp = "DISABLED" }
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = "/aws/batch/my-team"
          awslogs-region        = "us-east-1"
          awslogs-stream-prefix = "program"
        }
      }
    }
    error_message = "A Fargate job must have two roles of its own, its size as texts, no public address, and its log group."
  }

  assert {
    condition     = aws_batch_job_definition.this.platform_capabilities == toset(["FARGATE"])
    error_message = "The job definition must be one for Fargate."
  }

  assert {
    condition     = length(aws_launch_template.this) == 0 && length(aws_iam_role.instance) == 0
    error_message = "Fargate has no instances, so nothing may be made for them."
  }
}

run "a_gpu_on_spot_instances" {
  command = plan

  module {
    source = "./modules/batch"
  }

  variables {
    compute_type   = "SPOT"
    instance_types = ["g5.xlarge"]
    job            = { vcpus = 4, memory_mib = 14000, gpus = 1 }
  }

  assert {
    condition = jsondecode(aws_batch_job_definition.this.container_properties).resourceRequirements == [
      { type = "VCPU", value = "4" },
      { type = "MEMORY", value = "14000" },
      { type = "GPU", value = "1" },
    ]
    error_message = "A job with a GPU must ask for it."
  }

  assert {
    condition     = !can(jsondecode(aws_batch_job_definition.this.container_properties).networkConfiguration)
    error_message = "EC2 refuses a job definition with a network configuration."
  }

  assert {
    condition     = aws_batch_compute_environment.this[0].compute_resources[0].ec2_configuration[0].image_type == "ECS_AL2023_NVIDIA"
    error_message = "Instances with GPUs need an image with their driver."
  }

  assert {
    condition     = aws_batch_job_definition.this.retry_strategy[0].attempts > 2 && contains(aws_batch_job_definition.this.retry_strategy[0].evaluate_on_exit[*].on_status_reason, "Host EC2*")
    error_message = "A job must start again when its instance is reclaimed, and that often happens more than once."
  }
}

run "an_existing_queue" {
  command = plan

  module {
    source = "./modules/batch"
  }

  variables {
    job_queue_arn = "arn:aws:batch:us-east-1:111122223333:job-queue/team-jobs"
    vpc_id        = null
    subnet_ids    = []
  }

  assert {
    condition     = length(aws_batch_job_queue.this) + length(aws_batch_compute_environment.this) + length(aws_security_group.this) == 0
    error_message = "Where a queue exists, neither a queue nor what it runs on may be made."
  }

  assert {
    condition     = output.job_queue_arn == var.job_queue_arn
    error_message = "The queue that exists must be the one that is used."
  }
}

run "gpus_that_fargate_has_not" {
  command = plan

  module {
    source = "./modules/batch"
  }

  variables {
    job = { gpus = 1 }
  }

  expect_failures = [var.job]
}

run "gpus_that_the_instances_have_not" {
  command = plan

  module {
    source = "./modules/batch"
  }

  variables {
    compute_type   = "EC2"
    instance_types = ["m7i"]
    job            = { gpus = 1 }
  }

  expect_failures = [var.instance_types]
}

run "a_size_that_fargate_has_not" {
  command = plan

  module {
    source = "./modules/batch"
  }

  variables {
    job = { vcpus = 1, memory_mib = 9216 }
  }

  expect_failures = [var.job]
}
