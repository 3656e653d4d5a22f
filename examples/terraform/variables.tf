variable "airbyte_url" {
  description = "Airbyte's API, such as http://localhost:8000/api/public/v1 of an instance of your own"
  type        = string
  default     = "https://api.airbyte.com/v1"
}

variable "airbyte_client_id" {
  description = "Of an application that is made in Airbyte under User settings"
  type        = string
}

variable "airbyte_client_secret" {
  type      = string
  sensitive = true
}

variable "workspace_id" {
  description = "The UUID in the address of your workspace"
  type        = string
}

variable "docker_repository" {
  description = "Where the image of destination-milvus is, without its tag"
  type        = string
}

variable "docker_image_tag" {
  description = "Version of the connector"
  type        = string
  default     = "0.1.0"
}

variable "zendesk_subdomain" {
  description = "acme for https://acme.zendesk.com"
  type        = string
}

variable "zendesk_start_date" {
  description = "Tickets that were last updated before it are left out"
  type        = string
  default     = "2024-01-01T00:00:00Z"
}

variable "zendesk_email" {
  description = "Of the user whose API token it is"
  type        = string
}

variable "zendesk_api_token" {
  type      = string
  sensitive = true
}

variable "openai_key" {
  type      = string
  sensitive = true
}

variable "milvus_host" {
  description = "Public endpoint of Zilliz Cloud or address of your server"
  type        = string
}

variable "milvus_collection" {
  type    = string
  default = "zendesk"
}

variable "milvus_token" {
  description = "API key of Zilliz Cloud, or user:password"
  type        = string
  sensitive   = true
}
