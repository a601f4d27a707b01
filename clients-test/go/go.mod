module polaris-clients

go 1.24
