output "image_repository_arn" {
  description = "ARN of the image repository, for existing.image_repository_arn of environments in other accounts."
  value       = module.image_repository.repository_arn
}

output "image_repository_url" {
  description = "Address to push the Batch image to, without a tag."
  value       = module.image_repository.repository_url
}

output "state_bucket_name" {
  description = "Name of the bucket for the environments' state; write it into envs/<environment>.s3.tfbackend."
  value       = module.state.bucket_name
}
