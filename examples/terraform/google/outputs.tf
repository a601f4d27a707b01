output "address" {
  description = "Address of the instance, for the backend of a load balancer"
  value       = google_compute_instance.this.network_interface[0].network_ip
}

output "attribute_condition" {
  description = "What the attestation token must say before the key can be used"
  value       = local.condition
}

output "allow_env_override" {
  description = "Value of the image label tee.launch_policy.allow_env_override"
  value       = join(",", sort(keys(local.environment)))
}

output "hardware_model" {
  description = "What clients put into hardwareModels of their policy"
  value       = local.hardware[var.confidential_instance_type]
}

output "service_account" {
  description = "What clients put into serviceAccounts of their policy"
  value       = google_service_account.workload.email
}
