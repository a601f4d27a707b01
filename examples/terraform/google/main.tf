# Polaris Secure Proxy in Confidential Space, with a key in Cloud KMS that only this image, attested, can use.
# What is pinned, and why, is in docs/deploy-google.md.

terraform {
  required_version = ">= 1.5"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.0"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
  zone    = "${var.region}-${var.zone}"
}

data "google_project" "this" {
  project_id = var.project_id
}

locals {
  pool     = var.name
  provider = "confidential-space"
  key_ring = var.name
  key      = var.name

  pool_path = "projects/${data.google_project.this.number}/locations/global/workloadIdentityPools/${local.pool}"

  # Everything that is set from outside the image. The condition below pins each value, and the image's label
  # tee.launch_policy.allow_env_override must list these names and no others.
  environment = {
    POLARIS_CONTAINER_KEY_TYPE                        = "google-federated"
    POLARIS_CONTAINER_WORKLOAD_BASE_URL               = var.workload_base_url
    POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION         = "true"
    POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION        = "true"
    POLARIS_CONTAINER_GOOGLE_FEDERATED_KEY_PROJECT_ID = var.project_id
    POLARIS_CONTAINER_GOOGLE_FEDERATED_KEY_LOCATION   = var.region
    POLARIS_CONTAINER_GOOGLE_FEDERATED_KEY_RING_ID    = local.key_ring
    POLARIS_CONTAINER_GOOGLE_FEDERATED_KEY_ID         = local.key
    POLARIS_CONTAINER_GOOGLE_FEDERATED_KEY_VERSION    = join(",", var.key_versions)
    POLARIS_CONTAINER_GOOGLE_FEDERATED_KEY_AUDIENCE   = "//iam.googleapis.com/${local.pool_path}/providers/${local.provider}"
  }

  # What the token calls the hardware of each confidential_instance_type. GCP_SHIELDED_VM, a VM that is no TEE, is none.
  hardware = { SEV = "GCP_AMD_SEV", TDX = "GCP_INTEL_TDX" }

  condition = join(" && ", concat([
    "assertion.hwmodel == '${local.hardware[var.confidential_instance_type]}'",
    "assertion.swname == 'CONFIDENTIAL_SPACE'",
    "'STABLE' in assertion.submods.confidential_space.support_attributes",
    "assertion.dbgstat == 'disabled-since-boot'",
    "assertion.secboot == true",
    "assertion.submods.container.image_digest == '${var.image_digest}'",
    "assertion.submods.gce.project_id == '${var.project_id}'",
    "'${google_service_account.workload.email}' in assertion.google_service_accounts",
    ], [
    for name, value in local.environment : "assertion.submods.container.env_override['${name}'] == '${value}'"
  ]))
}

resource "google_project_service" "this" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "cloudkms.googleapis.com",
    "compute.googleapis.com",
    "confidentialcomputing.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "sts.googleapis.com",
  ])

  project            = var.project_id
  service            = each.value
  disable_on_destroy = false
}

# The key.

resource "google_kms_key_ring" "this" {
  name       = local.key_ring
  location   = var.region
  depends_on = [google_project_service.this]
}

resource "google_kms_crypto_key" "this" {
  name     = local.key
  key_ring = google_kms_key_ring.this.id
  purpose  = "ASYMMETRIC_DECRYPT"

  version_template {
    algorithm        = "RSA_DECRYPT_OAEP_4096_SHA256"
    protection_level = "HSM"
  }

  lifecycle {
    prevent_destroy = true
  }
}

# Who may use it: what Google's attestation service says is this image, in production mode, in this project.

resource "google_iam_workload_identity_pool" "this" {
  workload_identity_pool_id = local.pool
  depends_on                = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "attestation" {
  workload_identity_pool_id          = google_iam_workload_identity_pool.this.workload_identity_pool_id
  workload_identity_pool_provider_id = local.provider
  attribute_condition                = local.condition

  attribute_mapping = {
    "google.subject"         = "assertion.submods.gce.project_number + '::' + assertion.submods.gce.instance_id"
    "attribute.image_digest" = "assertion.submods.container.image_digest"
  }

  oidc {
    issuer_uri        = "https://confidentialcomputing.googleapis.com/"
    allowed_audiences = ["https://sts.googleapis.com"]
  }
}

resource "google_kms_crypto_key_iam_member" "use" {
  for_each = toset(["roles/cloudkms.cryptoKeyDecrypter", "roles/cloudkms.publicKeyViewer"])

  crypto_key_id = google_kms_crypto_key.this.id
  role          = each.value
  member        = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.this.name}/attribute.image_digest/${var.image_digest}"
}

# The instance. Its service account may run workloads, pull the image and write logs; it may not use the key.

resource "google_service_account" "workload" {
  account_id   = "${var.name}-vm"
  display_name = "Runs the Polaris Secure Proxy instance"
  depends_on   = [google_project_service.this]
}

resource "google_project_iam_member" "workload" {
  for_each = toset(["roles/confidentialcomputing.workloadUser", "roles/artifactregistry.reader", "roles/logging.logWriter"])

  project = var.project_id
  role    = each.value
  member  = google_service_account.workload.member
}

resource "google_compute_instance" "this" {
  name         = var.name
  machine_type = var.machine_type
  tags         = [var.name]
  labels       = var.labels

  metadata = merge({
    "tee-image-reference"        = "${var.image}@${var.image_digest}"
    "tee-restart-policy"         = "Always"
    "tee-container-log-redirect" = "true"
  }, { for name, value in local.environment : "tee-env-${name}" => value })

  boot_disk {
    initialize_params {
      image = "projects/confidential-space-images/global/images/family/confidential-space"
    }
  }

  confidential_instance_config {
    enable_confidential_compute = true
    confidential_instance_type  = var.confidential_instance_type
  }

  shielded_instance_config {
    enable_secure_boot = true
  }

  scheduling {
    on_host_maintenance = "TERMINATE"
  }

  network_interface {
    network    = var.network
    subnetwork = var.subnetwork
  }

  service_account {
    email  = google_service_account.workload.email
    scopes = ["cloud-platform"]
  }

  depends_on = [google_project_iam_member.workload, google_kms_crypto_key_iam_member.use]
}

resource "google_compute_firewall" "proxy" {
  name          = var.name
  network       = var.network
  source_ranges = var.client_ranges
  target_tags   = [var.name]
  depends_on    = [google_project_service.this]

  allow {
    protocol = "tcp"
    ports    = ["3000"]
  }
}
