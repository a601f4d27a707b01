# Polaris Secure Proxy in a confidential container group on Azure Container Instances, with a key in Key Vault that is
# released to this deployment only, attested. What is pinned, and why, is in docs/deploy-azure.md.
# The vault's key and the container group are made with azapi: azurerm knows neither release policies nor CCE policies.

terraform {
  required_version = ">= 1.5"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.0"
    }
    azapi = {
      source  = "azure/azapi"
      version = "~> 2.0"
    }
  }
}

provider "azurerm" {
  features {}
  subscription_id = var.subscription_id
}

provider "azapi" {
  subscription_id = var.subscription_id
}

data "azurerm_client_config" "this" {}

resource "azurerm_resource_group" "this" {
  name     = var.name
  location = var.location
}

resource "azurerm_user_assigned_identity" "proxy" {
  name                = var.name
  location            = azurerm_resource_group.this.location
  resource_group_name = azurerm_resource_group.this.name
}

# The key.

resource "azurerm_key_vault" "this" {
  name                       = var.name
  location                   = azurerm_resource_group.this.location
  resource_group_name        = azurerm_resource_group.this.name
  tenant_id                  = data.azurerm_client_config.this.tenant_id
  sku_name                   = "premium"
  enable_rbac_authorization  = true
  purge_protection_enabled   = true
  soft_delete_retention_days = 90
}

locals {
  # SHA-256 of the policy that the hardware enforces and reports: containers, their digests, commands and environment.
  host_data = sha256(base64decode(var.cce_policy))

  release_policy = {
    version = "1.0.0"
    anyOf = [{
      authority = "https://${var.maa_endpoint}"
      allOf = [
        { claim = "x-ms-attestation-type", equals = "sevsnpvm" },
        { claim = "x-ms-compliance-status", equals = "azure-compliant-uvm" },
        { claim = "x-ms-sevsnpvm-hostdata", equals = local.host_data },
        { claim = "x-ms-sevsnpvm-is-debuggable", equals = "false" },
      ]
    }]
  }

  # Base64url without padding, as the service wants it.
  release_policy_data = replace(replace(replace(base64encode(jsonencode(local.release_policy)), "=", ""), "+", "-"), "/", "_")
}

resource "azapi_resource" "key" {
  type      = "Microsoft.KeyVault/vaults/keys@2023-07-01"
  name      = var.key_name
  parent_id = azurerm_key_vault.this.id

  body = {
    properties = {
      kty     = "RSA-HSM"
      keySize = 4096
      keyOps  = ["decrypt", "encrypt"]
      attributes = {
        enabled    = true
        exportable = true
      }
      release_policy = {
        contentType = "application/json; charset=utf-8"
        data        = local.release_policy_data
      }
    }
  }

  # Azure Resource Manager makes keys and neither changes nor deletes them: to apply a change of the policy would only
  # look as if it had been made. The guide shows how to make it.
  lifecycle {
    ignore_changes  = [body]
    prevent_destroy = true
  }
}

resource "azurerm_role_assignment" "release" {
  scope                = "${azurerm_key_vault.this.id}/keys/${azapi_resource.key.name}"
  role_definition_name = "Key Vault Crypto Service Release User"
  principal_id         = azurerm_user_assigned_identity.proxy.principal_id
}

# The container group: proxy, workload, and the sidecar that attests and releases. Only the proxy is reachable.

resource "azapi_resource" "containers" {
  type      = "Microsoft.ContainerInstance/containerGroups@2023-05-01"
  name      = var.name
  parent_id = azurerm_resource_group.this.id
  location  = azurerm_resource_group.this.location

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.proxy.id]
  }

  body = {
    properties = {
      sku           = "Confidential"
      osType        = "Linux"
      restartPolicy = "Always"
      confidentialComputeProperties = {
        ccePolicy = var.cce_policy
      }
      ipAddress = {
        type  = "Public"
        ports = [{ port = 3000, protocol = "TCP" }]
      }
      containers = [
        {
          name = "proxy"
          properties = {
            image = var.proxy_image
            ports = [{ port = 3000, protocol = "TCP" }]
            environmentVariables = [
              { name = "POLARIS_CONTAINER_KEY_TYPE", value = "azure-skr" },
              { name = "POLARIS_CONTAINER_WORKLOAD_BASE_URL", value = "http://localhost:${var.workload_port}" },
              { name = "POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION", value = "true" },
              { name = "POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION", value = "true" },
              { name = "POLARIS_CONTAINER_ATTESTATION_REQUIRED", value = "true" },
              { name = "POLARIS_CONTAINER_ATTESTATION_MAA_ENDPOINT", value = var.maa_endpoint },
              { name = "POLARIS_CONTAINER_AZURE_SKR_MAA_ENDPOINT", value = var.maa_endpoint },
              { name = "POLARIS_CONTAINER_AZURE_SKR_AKV_ENDPOINT", value = "${var.name}.vault.azure.net" },
              { name = "POLARIS_CONTAINER_AZURE_SKR_KID", value = var.key_name },
            ]
            resources = { requests = { cpu = 1, memoryInGB = 2 } }
          }
        },
        {
          name = "workload"
          properties = {
            image = var.workload_image
            environmentVariables = [
              { name = "HOST", value = "127.0.0.1" },
              { name = "PORT", value = tostring(var.workload_port) },
            ]
            resources = { requests = { cpu = 1, memoryInGB = 2 } }
          }
        },
        {
          name = "skr"
          properties = {
            image                = var.sidecar_image
            command              = ["/skr.sh"]
            environmentVariables = [{ name = "Port", value = "8080" }]
            resources            = { requests = { cpu = 0.5, memoryInGB = 1 } }
          }
        },
      ]
    }
  }

  depends_on = [azurerm_role_assignment.release]
}
