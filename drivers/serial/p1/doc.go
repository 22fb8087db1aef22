// Package p1 reads what smart meters say on the port for their customers (P1): telegrams of lines such as
//
//	/ISk5\2MT382-1000
//
//	1-0:1.8.1(123456.789*kWh)
//	0-1:24.2.1(101209112500W)(12785.123*m3)
//	!EF2F
//
// from "/" to "!" with a checksum behind it. A line has a code (OBIS, IEC 62056-61) and values in brackets; a value may
// have a unit. [Scanner] finds telegrams in a stream of bytes, [Telegram] knows what is in one, and [Describe] what a
// code means.
//
// Read are the telegrams of the Dutch P1 Companion Standard (DSMR 2.2 to 5.0.2; those before 4.0 have no checksum), of the
// meters of Belgium (eMUCs-P1) and Luxembourg, which follow it with codes of their own, and others that follow mode D of
// IEC 62056-21.
package p1
