module "ecr_repository" {
  source = "../../modules/ecr_repository"

  name = "my-team-program"
}
