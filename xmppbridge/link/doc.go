// Package link joins the gateway to the network: as an external component of a server (XEP-0114), or as clients of an
// account, one stream a device.
package link
