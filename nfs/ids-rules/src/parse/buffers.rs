//! Keywords that choose a buffer, change its bytes, or are about an application's numbers.

use super::{Builder, Opt, Place, Sticky, content, number::number};
use crate::{
    buffer::Buffer,
    payload::{Test, Transform},
    refusal::Refusal,
    rule::DnsTest,
};

impl Builder<'_> {
    /// Takes the option if it is about buffers or applications.
    pub(super) fn buffers(&mut self, option: Opt<'_>) -> Result<bool, Refusal> {
        if let Some(buffer) = Buffer::from_sticky(option.name) {
            option.bare()?;
            self.choose(option, buffer)?;
            return Ok(true);
        }
        if let Some(buffer) = Buffer::from_modifier(option.name) {
            option.bare()?;
            self.move_content(option, buffer)?;
            return Ok(true);
        }
        let transform = match option.name {
            "to_lowercase" => Transform::ToLowercase,
            "to_uppercase" => Transform::ToUppercase,
            "strip_whitespace" => Transform::StripWhitespace,
            "compress_whitespace" => Transform::CompressWhitespace,
            "dotprefix" => Transform::DotPrefix,
            "url_decode" => Transform::UrlDecode,
            "xor" => {
                let key = option.need()?.unquoted();
                let hexadecimal = [b"|", key.bytes, b"|"].concat();
                let bytes = content::pattern(option.name, super::Span { bytes: &hexadecimal, at: key.at })?;
                if bytes.is_empty() {
                    return Err(option.bad("needs a key of hexadecimal digits"));
                }
                self.transform(option, Transform::Xor(bytes.into()))?;
                return Ok(true);
            }
            "urilen" => {
                self.uri_length(option)?;
                return Ok(true);
            }
            "dns.opcode" | "dns.rcode" | "dns.rrtype" => {
                let number = number(option.name, option.need()?, 65_535)?;
                self.rule.dns.push(match option.name {
                    "dns.opcode" => DnsTest::Opcode(number),
                    "dns.rcode" => DnsTest::Rcode(number),
                    _ => DnsTest::RecordType(number),
                });
                return Ok(true);
            }
            _ => return Ok(false),
        };
        option.bare()?;
        self.transform(option, transform)?;
        Ok(true)
    }

    /// Chooses the buffer of what follows.
    fn choose(&mut self, option: Opt<'_>, buffer: Buffer) -> Result<(), Refusal> {
        if let Some(sticky) =
            self.sticky.as_ref().filter(|sticky| sticky.unused && sticky.buffer != Buffer::Payload)
        {
            return Err(option.conflict(format!("nothing looks into {} before it", sticky.buffer.name())));
        }
        self.last = None;
        let fresh = buffer == Buffer::DnsQuery;
        self.sticky = Some(Sticky { buffer, transforms: Vec::new(), fresh, unused: true });
        Ok(())
    }

    /// Moves the last content to the buffer that its modifier names.
    fn move_content(&mut self, option: Opt<'_>, buffer: Buffer) -> Result<(), Refusal> {
        self.last_content(option)?;
        let Some(Place(from)) = self.last else { return Ok(()) };
        if self.rule.buffers[from].buffer != Buffer::Payload {
            return Err(option.conflict("the content before it has a buffer already"));
        }
        let Some(Test::Content(content)) = self.rule.buffers[from].tests.pop() else { return Ok(()) };
        if self.rule.buffers[from].tests.is_empty() {
            self.rule.buffers.remove(from);
        }
        // A modifier may follow `pkt_data`, which chooses what is chosen at the beginning.
        if self.sticky.as_ref().is_some_and(|sticky| sticky.buffer == Buffer::Payload) {
            self.sticky = None;
        }
        self.add_to(option, buffer, content)
    }

    fn transform(&mut self, option: Opt<'_>, transform: Transform) -> Result<(), Refusal> {
        match &mut self.sticky {
            Some(sticky) if sticky.unused && sticky.buffer.application().is_some() => {
                if sticky.transforms.len() >= 8 {
                    return Err(option.bad("more than 8 transforms of a buffer"));
                }
                sticky.transforms.push(transform);
                Ok(())
            }
            Some(sticky) if !sticky.unused => Err(option.conflict("goes before what looks into the buffer")),
            Some(_) => {
                Err(option.unsupported("payload and headers of packets have no transforms in the subset"))
            }
            None => Err(option.conflict("needs a buffer before it")),
        }
    }

    /// `urilen:<number>[,norm|raw]`.
    fn uri_length(&mut self, option: Opt<'_>) -> Result<(), Refusal> {
        let value = option.need()?.unquoted();
        let (length, buffer) = match value.cut(b',') {
            None => (value, Buffer::HttpUri),
            Some((length, which)) => match which.bytes {
                b"norm" => (length, Buffer::HttpUri),
                b"raw" => (length, Buffer::HttpUriRaw),
                _ => return Err(which.bad(option.name, "which is norm or raw")),
            },
        };
        let length = number(option.name, length, 65_535)?;
        let group = self.group_of(buffer, Vec::new(), false);
        // Before the others: it leaves the cursor alone, and the content that modifiers are about stays the last.
        self.rule.buffers[group].tests.insert(0, Test::BufferSize(length));
        Ok(())
    }
}
