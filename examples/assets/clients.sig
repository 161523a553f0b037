# What TCP clients say, as in servers.sig.
http,v/$1///,\r\n[Uu]ser-[Aa]gent: ([^\r\n]{1,160})
ssh,v/OpenSSH/$2/protocol $1/,^SSH-([\d.]+)-OpenSSH[_-](\S+)
ssh,v/$2//protocol $1/,^SSH-([\d.]+)-(\S+)
tls,v/TLS client hello///,^\x16\x03[\x00-\x04]..\x01
git,v/git///,^[0-9a-f]{4}git-upload-pack
