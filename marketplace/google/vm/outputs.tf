output "address" {
  description = "Address of the instance, for the backend of a load balancer"
  value       = module.polaris.address
}

output "hardware_model" {
  description = "What clients put into hardwareModels of their policy"
  value       = module.polaris.hardware_model
}

output "service_account" {
  description = "What clients put into serviceAccounts of their policy"
  value       = module.polaris.service_account
}
