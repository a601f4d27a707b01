output "host_data" {
  description = "What the hardware must report for the key to be released"
  value       = local.host_data
}

output "release_policy" {
  description = "The release policy as JSON"
  value       = jsonencode(local.release_policy)
}
