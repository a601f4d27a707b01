# What the listing of the Confidential Space VM deploys: examples/terraform/google, as `marketplace/assemble.ts google-vm`
# puts it beside this file, with the reviewed image filled in.

terraform {
  required_version = ">= 1.5"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.0"
    }
  }

  # How Google counts what the marketplace deploys.
  provider_meta "google" {
    module_name = "blueprints/terraform/canonical-mp/v0.0.1"
  }
}

module "polaris" {
  source = "./polaris"

  project_id                 = var.project_id
  name                       = var.goog_cm_deployment_name
  region                     = var.region
  zone                       = var.zone
  machine_type               = var.machine_type
  confidential_instance_type = var.confidential_instance_type
  network                    = var.network
  subnetwork                 = var.subnetwork
  client_ranges              = var.client_ranges
  image                      = var.image
  image_digest               = var.image_digest
  labels                     = { goog-partner-solution = var.partner_solution }
}
