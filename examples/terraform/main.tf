# Zendesk Support → Milvus: tickets and articles, Incremental | Append + Deduped, every hour.
#
#   export TF_VAR_airbyte_client_secret=… TF_VAR_zendesk_api_token=… TF_VAR_openai_key=… TF_VAR_milvus_token=…
#   terraform init && terraform apply
#
# Secrets end up in Terraform's state: keep it where only you can read it.

terraform {
  required_providers {
    airbyte = {
      source  = "airbytehq/airbyte"
      version = "~> 0.13"
    }
  }
}

provider "airbyte" {
  server_url    = var.airbyte_url
  client_id     = var.airbyte_client_id
  client_secret = var.airbyte_client_secret
}

# The connector's own image; `make image` builds it, and you push it to a registry that your Airbyte can reach.
resource "airbyte_destination_definition" "milvus" {
  workspace_id      = var.workspace_id
  name              = "Milvus (destination-milvus)"
  docker_repository = var.docker_repository
  docker_image_tag  = var.docker_image_tag
}

resource "airbyte_source_zendesk_support" "support_desk" {
  workspace_id = var.workspace_id
  name         = "Zendesk Support"
  configuration = {
    subdomain  = var.zendesk_subdomain
    start_date = var.zendesk_start_date
    credentials = {
      api_token = {
        email     = var.zendesk_email
        api_token = var.zendesk_api_token
      }
    }
  }
}

locals {
  milvus = {
    embedding = {
      mode       = "openai"
      openai_key = var.openai_key
      model      = "text-embedding-3-small"
    }
    processing = {
      chunk_size    = 1000
      chunk_overlap = 50
      text_fields   = ["subject", "description", "title", "body"]
      metadata_fields = [
        "id", "subject", "description", "status", "priority", "organization_id", "requester_id", "tags",
        "title", "html_url", "label_names", "locale", "created_at", "updated_at"
      ]
      html_fields    = ["body"]
      context_fields = ["title", "subject"]
    }
    indexing = {
      host       = var.milvus_host
      collection = var.milvus_collection
      auth = {
        mode  = "token"
        token = var.milvus_token
      }
    }
  }
}

resource "airbyte_destination_custom" "milvus" {
  workspace_id  = var.workspace_id
  definition_id = airbyte_destination_definition.milvus.id
  name          = "Milvus"
  configuration = jsonencode(local.milvus)
}

resource "airbyte_connection" "support_desk_to_milvus" {
  name           = "Zendesk Support to Milvus"
  source_id      = airbyte_source_zendesk_support.support_desk.source_id
  destination_id = airbyte_destination_custom.milvus.destination_id
  status         = "active"
  schedule = {
    schedule_type   = "cron"
    cron_expression = "0 0 * * * ?" # Quartz: at the beginning of every hour
  }
  configurations = {
    # primary key and cursor are the source's own
    streams = [
      { name = "tickets", sync_mode = "incremental_deduped_history" },
      { name = "articles", sync_mode = "incremental_deduped_history" },
    ]
  }
}

output "connection_id" {
  value = airbyte_connection.support_desk_to_milvus.connection_id
}
