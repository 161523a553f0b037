# How systems open TCP connections: window:ttl:df:size:options:quirks:system:details
# A modest list, from looking at connections of the systems themselves; larger ones are where p0f 2 and PRADS are packaged.
S44:64:1:60:M*,S,T,N,W*:.:Linux:4.19 and later
S45:64:1:60:M*,S,T,N,W*:.:Linux:4.19 and later
S20:64:1:60:M*,S,T,N,W*:.:Linux:3.x to 4.18
S10:64:1:60:M*,S,T,N,W*:.:Linux:2.6.39 to 3.x
S4:64:1:60:M*,S,T,N,W*:.:Linux:2.6
S1:64:1:60:M*,S,T,N,W*:.:Linux:over its loopback
43690:64:1:60:M*,S,T,N,W*:.:Linux:over its loopback, 3.x to 4.18
S44:64:1:40:M*,S,T,N,W*:L:Linux:4.19 and later
S45:64:1:40:M*,S,T,N,W*:L:Linux:4.19 and later
S20:64:1:40:M*,S,T,N,W*:L:Linux:3.x to 4.18
S44:128:1:52:M*,N,W8,N,N,S:.:Windows:10 and later
65535:128:1:52:M*,N,W8,N,N,S:.:Windows:10 and later
8192:128:1:52:M*,N,W8,N,N,S:.:Windows:7 to 8.1
8192:128:1:52:M*,N,W2,N,N,S:.:Windows:Vista to 7
65535:128:1:48:M*,N,N,S:.:Windows:XP
65535:64:1:64:M*,N,W*,N,N,T,S,E,E:P:macOS:10.6 to 10.11, or iOS
65535:64:1:64:M*,N,W*,N,N,T,S,E,E:PZ:macOS:10.12 and later, or iOS
65535:64:1:60:M*,N,W*,S,T:.:FreeBSD:9 and later
16384:64:1:64:M*,N,N,S,N,W*,N,N,T:.:OpenBSD:
%1024:64:0:44:M1460:.:scanner:nmap, a SYN scan
