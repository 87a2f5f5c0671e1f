data "aws_partition" "current" {}

# From names, so that a plan shows the policies whole.
locals {
  log_group_name = "/aws/batch/${var.name_prefix}"
  log_group_arn  = "arn:${data.aws_partition.current.partition}:logs:${var.aws_region}:${var.account_id}:log-group:${local.log_group_name}"
  ecs_arn        = "arn:${data.aws_partition.current.partition}:ecs:${var.aws_region}:${var.account_id}"
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

# What ECS needs to start a job: the image and a place for the logs.
data "aws_iam_policy_document" "execution" {
  statement {
    sid     = "LogInToRegistry"
    actions = ["ecr:GetAuthorizationToken"]
    # The token is the account's: the action knows no resources.
    resources = ["*"]
  }

  statement {
    sid       = "PullImage"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [var.image_repository_arn]
  }

  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.log_group_arn}:*"]
  }
}

# EC2 takes the role without saying for which account, so no condition can ask for it.
data "aws_iam_policy_document" "instance_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

# What an instance needs to join the cluster that Batch made for it, and no more: a job shares the instance's network
# and could take this role. Images and logs are the execution role's, which Amazon Linux's ECS agent uses for both.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
data "aws_iam_policy_document" "instance" {
  statement {
    sid     = "FindCluster"
    actions = ["ecs:DiscoverPollEndpoint"]
    # The action knows no resources.
    resources = ["*"]
  }

  statement {
    sid = "JoinCluster"
    actions = [
      "ecs:DeregisterContainerInstance",
      "ecs:RegisterContainerInstance",
      "ecs:SubmitAttachmentStateChanges",
      "ecs:SubmitContainerStateChange",
      "ecs:SubmitTaskStateChange",
    ]
    resources = ["${local.ecs_arn}:cluster/AWSBatch-*"]
  }

  statement {
    sid = "TakeTasks"
    actions = [
      "ecs:Poll",
      "ecs:StartTelemetrySession",
      "ecs:UpdateContainerInstancesState",
    ]
    resources = ["${local.ecs_arn}:container-instance/AWSBatch-*"]
  }
}

# What the program itself may do.
data "aws_iam_policy_document" "job" {
  source_policy_documents = [var.job_policy_json]

  dynamic "statement" {
    for_each = var.kms_key_arn[*]

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role" "execution" {
  name                 = "${var.name_prefix}-batch-execution"
  description          = "What ECS may do to start the jobs of ${var.name_prefix}."
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name   = "execution"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

resource "aws_iam_role" "job" {
  name                 = "${var.name_prefix}-batch-job"
  description          = "What the program may do in the jobs of ${var.name_prefix}."
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags
}

resource "aws_iam_role_policy" "job" {
  name   = "job"
  role   = aws_iam_role.job.id
  policy = data.aws_iam_policy_document.job.json
}

resource "aws_iam_role" "instance" {
  count = local.makes_fleet ? 1 : 0

  name                 = "${var.name_prefix}-batch-instance"
  description          = "What the instances may do that run the jobs of ${var.name_prefix}."
  assume_role_policy   = data.aws_iam_policy_document.instance_trust.json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags
}

resource "aws_iam_role_policy" "instance" {
  count = local.makes_fleet ? 1 : 0

  name   = "instance"
  role   = aws_iam_role.instance[0].id
  policy = data.aws_iam_policy_document.instance.json
}

resource "aws_iam_instance_profile" "this" {
  count = local.makes_fleet ? 1 : 0

  name = "${var.name_prefix}-batch-instance"
  role = aws_iam_role.instance[0].name
  tags = var.tags
}
