module mycelium/examples/go

go 1.22
