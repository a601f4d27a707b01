module polaris.invalid/peer

go 1.19
