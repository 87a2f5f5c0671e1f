output "subnet_ids" {
  description = "Ids of the two private subnets, in two availability zones."
  value       = aws_subnet.private[*].id
}

output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}
