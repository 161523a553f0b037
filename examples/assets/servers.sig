# What TCP servers say: service,v/product/version/info/,pattern. The first that matches counts.
ssh,v/OpenSSH/$2/protocol $1/,^SSH-([\d.]+)-OpenSSH[_-](\S+)
ssh,v/Dropbear/$2/protocol $1/,^SSH-([\d.]+)-dropbear[_-](\S+)
ssh,v/$2//protocol $1/,^SSH-([\d.]+)-(\S+)
http,v/nginx/$1//,\r\n[Ss]erver: nginx/(\S+)
http,v/Apache/$1/$2/,\r\n[Ss]erver: Apache/(\S+) \(([^)]*)\)
http,v/Apache/$1//,\r\n[Ss]erver: Apache/(\S+)
http,v/Microsoft-IIS/$1//,\r\n[Ss]erver: Microsoft-IIS/(\S+)
http,v/$1///,\r\n[Ss]erver: ([^\r\n]{1,80})
tls,v/TLS server hello///,^\x16\x03[\x00-\x04]..\x02
smtp,v/Postfix//$1/,^220 ([\w.-]+) ESMTP Postfix
smtp,v/Exim/$2/$1/,^220 ([\w.-]+) ESMTP Exim (\S+)
smtp,v/unknown//$1/,^220[ -]([\w.-]+) E?SMTP
ftp,v/vsftpd/$1//,^220 \(vsFTPd ([\d.]+)\)
ftp,v/ProFTPD/$1//,^220 ProFTPD (\S+)
imap,v/Dovecot///,^\* OK .*Dovecot
pop3,v/Dovecot///,^\+OK .*Dovecot
mysql,v/MariaDB/$1//,^....\x0a5\.5\.5-([\d.]+)-MariaDB
mysql,v/MySQL/$1//,^....\x0a(\d+\.\d+\.\d+)
