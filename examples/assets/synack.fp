# How systems accept TCP connections, as in syn.fp.
65160:64:1:60:M*,S,T,N,W*:ZAT:Linux:4.19 and later
65483:64:1:60:M*,S,T,N,W*:ZAT:Linux:4.19 and later, over its loopback
64260:64:1:56:M*,S,T,N,W*:ZAT:Linux:4.19 and later
28960:64:1:60:M*,S,T,N,W*:ZAT:Linux:3.x to 4.18
14480:64:1:60:M*,S,T,N,W*:ZAT:Linux:2.6.39 to 3.x
5792:64:1:60:M*,S,T,N,W*:ZAT:Linux:2.6
S44:64:1:52:M*,N,N,S,N,W*:ZA:Linux:4.19 and later, to a client without time stamps
S20:64:1:52:M*,N,N,S,N,W*:ZA:Linux:3.x to 4.18, to a client without time stamps
S10:64:1:52:M*,N,N,S,N,W*:ZA:Linux:2.6.39 to 3.x, to a client without time stamps
S4:64:1:52:M*,N,N,S,N,W*:ZA:Linux:2.6, to a client without time stamps
65535:128:1:52:M*,N,W8,N,N,S:A:Windows:10, Server 2016 and later
8192:128:1:60:M*,N,W8,S,T:AT:Windows:7, Server 2008 R2 to 2012
8192:128:1:52:M*,N,W8,N,N,S:A:Windows:7, Server 2008 R2 to 2012
65535:64:1:60:M*,N,W*,S,T:ZAT:FreeBSD:9 and later
65535:64:1:60:M*,N,W*,S,T:AT:FreeBSD:9 and later
