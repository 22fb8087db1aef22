// Command firmware-sim runs simulated devices, for trying the gateway without hardware.
//
//	go run ./firmware-sim serial greenhouse --link /tmp/greenhouse
//	go run ./firmware-sim serial bed --fault garbage
//	go run ./firmware-sim modbus --link /tmp/meters --fault dead-3
//	go run ./firmware-sim serial meter --listen 127.0.0.1:4001
//	go run ./firmware-sim mqtt lamp --broker mqtt://127.0.0.1:1883
//	go run ./firmware-sim gpio relay --fault stuck
//	go run ./firmware-sim house --broker mqtt://127.0.0.1:1883 --count 1000
//
// Each prints where it is to be found, a serial one the path of its port, and runs until Ctrl-C. While it runs, a
// fault typed on standard input is switched: "garbage", "garbage on", "garbage off"; "help" lists what there is.
//
// The boards themselves are in the packages beside this file, which tests and the demo use directly. A GPIO chip is
// simulated within the process that uses it: what is wired to one shows its level here, and no gateway can open it. A house is
// about forty devices of every dialect, and sensors beyond that; its faults are typed with the device, "offline-boiler".
package main
