variable "project_id" {
  description = "Project of the instance and the key"
  type        = string
}

variable "goog_cm_deployment_name" {
  description = "Name of the deployment, and of all that it makes"
  type        = string
  default     = "polaris-proxy"
}

variable "region" {
  description = "Region of the instance and the key ring, one that offers confidential instances"
  type        = string
  default     = "europe-west4"
}

variable "zone" {
  description = "Letter of the zone"
  type        = string
  default     = "a"
}

variable "machine_type" {
  description = "A type that supports the confidential technology"
  type        = string
  default     = "n2d-standard-2"
}

variable "confidential_instance_type" {
  description = "SEV, or TDX with a c3 machine type"
  type        = string
  default     = "SEV"
}

variable "network" {
  description = "Network of the instance"
  type        = string
  default     = "default"
}

variable "subnetwork" {
  description = "Subnetwork of the instance, with private access to Google's services"
  type        = string
  default     = null
}

variable "client_ranges" {
  description = "Addresses that may connect: those of the load balancer"
  type        = list(string)
  default     = ["130.211.0.0/22", "35.191.0.0/16"]
}

variable "image" {
  description = "Proxy and workload in one image, without tag or digest"
  type        = string
  default     = "registry.example.com/polaris"
}

variable "image_digest" {
  description = "Digest of that image: what the key is released to and clients pin"
  type        = string
  default     = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
}

variable "partner_solution" {
  description = "Label of the listing, as the Producer Portal gives it"
  type        = string
  default     = "isol_plb32_example"
}
