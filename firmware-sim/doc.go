// Command firmware-sim runs simulated devices, for trying the gateway without hardware.
//
//	go run ./firmware-sim serial greenhouse --link /tmp/greenhouse
//	go run ./firmware-sim serial bed --fault garbage
//	go run ./firmware-sim modbus --link /tmp/meters --fault dead-3
//	go run ./firmware-sim serial meter --listen 127.0.0.1:4001
//	go run ./firmware-sim mqtt lamp --broker mqtt://127.0.0.1:1883
//	go run ./firmware-sim gpio relay --fault stuck
//
// Each prints where it is to be found, a serial one the path of its port, and runs until Ctrl-C. While it runs, a
// fault typed on standard input is switched: "garbage", "garbage on", "garbage off"; "help" lists what there is.
//
// The boards themselves are in the packages beside this file, which tests and the demo use directly. A GPIO chip is
// simulated within the process that uses it: what is wired to one shows its level here, and no gateway can open it.
package main
