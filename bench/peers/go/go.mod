module polaris/bench/peers

go 1.26
