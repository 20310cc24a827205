module keyfleet.io/clients/kmip-go

go 1.26.0

require github.com/ovh/kmip-go v0.6.0
