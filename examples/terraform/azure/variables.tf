variable "subscription_id" {
  description = "Subscription of everything that is made here"
  type        = string
}

variable "name" {
  description = "Name of the resource group, the vault and the container group; globally unique, 3 to 24 characters"
  type        = string
}

variable "location" {
  description = "A region that offers confidential containers"
  type        = string
  default     = "westeurope"
}

variable "maa_endpoint" {
  description = "Host of the Azure Attestation instance, without https://"
  type        = string
  default     = "sharedweu.weu.attest.azure.net"
}

variable "cce_policy" {
  description = "Confidential computing enforcement policy in base64, as az confcom acipolicygen makes it of these very containers"
  type        = string

  validation {
    condition     = can(base64decode(var.cce_policy)) && length(var.cce_policy) > 0
    error_message = "Make the policy with az confcom acipolicygen; without one, any container could be put into the group."
  }
}

variable "proxy_image" {
  description = "Image of the proxy, with its digest"
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.proxy_image))
    error_message = "Name the image by its digest."
  }
}

variable "workload_image" {
  description = "Image of the workload, with its digest"
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.workload_image))
    error_message = "Name the image by its digest."
  }
}

variable "sidecar_image" {
  description = "Image of the secure key release sidecar, with its digest"
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.sidecar_image))
    error_message = "Name the image by its digest."
  }
}

variable "workload_port" {
  description = "Port of the workload, on the loopback interface that the containers of a group share"
  type        = number
  default     = 8000
}

variable "key_name" {
  description = "Name of the key"
  type        = string
  default     = "polaris-proxy"
}
