variable "project_id" {
  description = "Project of the instance and the key"
  type        = string
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

variable "name" {
  description = "Name of the instance, the key ring, the key and the pool"
  type        = string
  default     = "polaris-proxy"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,20}[a-z0-9]$", var.name))
    error_message = "4 to 22 lower-case letters, digits and hyphens, the first a letter."
  }
}

variable "labels" {
  description = "Labels of the instance"
  type        = map(string)
  default     = {}
}

variable "image" {
  description = "Proxy and workload in one image, without tag or digest"
  type        = string
}

variable "image_digest" {
  description = "Digest of the image that was reviewed"
  type        = string

  validation {
    condition     = can(regex("^sha256:[0-9a-f]{64}$", var.image_digest))
    error_message = "Give the digest as sha256: and 64 hexadecimal digits."
  }
}

variable "key_versions" {
  description = "Versions of the key, newest first"
  type        = list(string)
  default     = ["1"]
}

variable "workload_base_url" {
  description = "Where the workload listens, inside the same container; by default as in examples/confidential-space"
  type        = string
  default     = "http://127.0.0.1:3001"

  validation {
    condition     = can(regex("^http://(127\\.0\\.0\\.1|localhost)(:[0-9]+)?(/|$)", var.workload_base_url))
    error_message = "The workload must be inside the TEE: plain HTTP on the loopback interface."
  }
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

  validation {
    condition     = contains(["SEV", "TDX"], var.confidential_instance_type)
    error_message = "Confidential Space runs on SEV or TDX."
  }
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
