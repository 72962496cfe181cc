// Requests that two servers in a row could understand differently, or that are no HTTP: [what, text,
// status]. The text is sent as it is, with a whole second request behind it: PUT of PATH-second. The
// answer is this status, the connection ends, and the second request is never carried out. PATH is an
// existing stream.

const HOST = "Host: x\r\n"
const TYPE = "Content-Type: text/plain\r\n"

const get = (lines, line = "GET PATH HTTP/1.1") => `${line}\r\n${lines}\r\n`
const post = (lines, body = "hello") => `POST PATH HTTP/1.1\r\n${HOST}${TYPE}${lines}\r\n${body}`

const CHUNKED = "Transfer-Encoding: chunked\r\n"
const chunks = (body) => post(CHUNKED, body)

export const malformed = [
  // the length of a body
  ["a length and chunks", post(`Content-Length: 5\r\n${CHUNKED}`, "0\r\n\r\n"), 400],
  ["chunks and a length", post(`${CHUNKED}Content-Length: 5\r\n`, "0\r\n\r\n"), 400],
  ["two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n"), 400],
  ["the same length twice", post("Content-Length: 5\r\nContent-Length: 5\r\n"), 400],
  ["a list of lengths", post("Content-Length: 5, 5\r\n"), 400],
  ["a length with a plus", post("Content-Length: +5\r\n"), 400],
  ["a length below zero", post("Content-Length: -5\r\n"), 400],
  ["a hexadecimal length", post("Content-Length: 0x5\r\n"), 400],
  ["a length with a unit", post("Content-Length: 5b\r\n"), 400],
  ["a length of two words", post("Content-Length: 5 0\r\n"), 400],
  ["an empty length", post("Content-Length:\r\n"), 400],
  ["a length beyond 64 bits", post("Content-Length: 99999999999999999999\r\n"), 400],
  ["a length in quotes", post('Content-Length: "5"\r\n'), 400],
  // transfer codings
  ["gzip, then chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501],
  ["chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 501],
  ["two lines of chunked", post(CHUNKED + CHUNKED, "0\r\n\r\n"), 400],
  ["chunked, then identity", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), 501],
  ["identity", post("Transfer-Encoding: identity\r\n"), 501],
  ["an unknown coding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 501],
  ["chunked in quotes", post('Transfer-Encoding: "chunked"\r\n', "0\r\n\r\n"), 501],
  ["an empty coding", post("Transfer-Encoding:\r\n", "0\r\n\r\n"), 501],
  ["a parameter of chunked", post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"), 501],
  ["a space before the coding's colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400],
  ["a tab before the coding's colon", post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), 400],
  ["a vertical tab in the coding", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), 400],
  ["chunks by HTTP/1.0", `POST PATH HTTP/1.0\r\n${TYPE}${CHUNKED}\r\n0\r\n\r\n`, 400],
  // chunks
  ["a chunk without a size", chunks("\r\nhello\r\n0\r\n\r\n"), 400],
  ["a size with a sign", chunks("+5\r\nhello\r\n0\r\n\r\n"), 400],
  ["a size below zero", chunks("-5\r\nhello\r\n0\r\n\r\n"), 400],
  ["a size with 0x", chunks("0x5\r\nhello\r\n0\r\n\r\n"), 400],
  ["a space before a size", chunks(" 5\r\nhello\r\n0\r\n\r\n"), 400],
  ["a space behind a size", chunks("5 \r\nhello\r\n0\r\n\r\n"), 400],
  ["a size that ends with LF", chunks("5\nhello\r\n0\r\n\r\n"), 400],
  ["a size that ends with CR", chunks("5\rhello\r\n0\r\n\r\n"), 400],
  ["a size of 17 digits", chunks("00000000000000005\r\nhello\r\n0\r\n\r\n"), 400],
  ["a size that wraps around", chunks("10000000000000005\r\nhello\r\n0\r\n\r\n"), 400],
  ["a chunk that is too long", chunks("5\r\nhello!\r\n0\r\n\r\n"), 400],
  ["a chunk that ends with LF", chunks("5\r\nhello\n0\r\n\r\n"), 400],
  ["a control in an extension", chunks("5;a=\x01\r\nhello\r\n0\r\n\r\n"), 400],
  ["LF in an extension", chunks("5;a\n\r\nhello\r\n0\r\n\r\n"), 400],
  ["a trailer with a control", chunks("5\r\nhello\r\n0\r\nA: \x00\r\n\r\n"), 400],
  ["a trailer that ends with LF", chunks("5\r\nhello\r\n0\r\nA: b\n\r\n"), 400],
  // header lines
  ["a space before a colon", get(`${HOST}Accept : x\r\n`), 400],
  ["a line without a colon", get(`${HOST}Accept\r\n`), 400],
  ["a line without a name", get(`${HOST}: x\r\n`), 400],
  ["a folded line", get(`${HOST}Accept: x\r\n y\r\n`), 400],
  ["a folded first line", get(` Accept: x\r\n${HOST}`), 400],
  ["a bare LF", get(`${HOST}Accept: x\nA: b\r\n`), 400],
  ["a bare CR", get(`${HOST}Accept: x\rA: b\r\n`), 400],
  ["a NUL in a value", get(`${HOST}Accept: x\x00y\r\n`), 400],
  ["a NUL in a name", get(`${HOST}Acc\x00ept: x\r\n`), 400],
  ["a DEL in a value", get(`${HOST}Accept: \x7f\r\n`), 400],
  ["a parenthesis in a name", get(`${HOST}Acc(ept: x\r\n`), 400],
  // Host
  ["no Host", get(""), 400],
  ["two of Host", get(HOST + HOST), 400],
  ["a Host with a path", get("Host: x/y\r\n"), 400],
  ["a Host with a user", get("Host: a@b\r\n"), 400],
  ["a Host with a space", get("Host: a b\r\n"), 400],
  // the request line
  ["two spaces", get(HOST, "GET  PATH HTTP/1.1"), 400],
  ["a tab", get(HOST, "GET\tPATH HTTP/1.1"), 400],
  ["a space at the end", get(HOST, "GET PATH HTTP/1.1 "), 400],
  ["no version", get(HOST, "GET PATH"), 400],
  ["a version in small letters", get(HOST, "GET PATH http/1.1"), 400],
  ["HTTP/2.0", get(HOST, "GET PATH HTTP/2.0"), 505],
  ["HTTP/1.10", get(HOST, "GET PATH HTTP/1.10"), 400],
  ["no method", get(HOST, " PATH HTTP/1.1"), 400],
  ["a method with a colon", get(HOST, "GE:T PATH HTTP/1.1"), 400],
  ["a target with a quote", get(HOST, 'GET PATH" HTTP/1.1'), 400],
  ["a target with a control", get(HOST, "GET PATH\x01 HTTP/1.1"), 400],
  ["a target with a fragment", get(HOST, "GET PATH#x HTTP/1.1"), 400],
  ["a relative target", get(HOST, "GET v1/stream/x HTTP/1.1"), 400],
  ["another scheme", get(HOST, "GET ftp://xPATH HTTP/1.1"), 400],
  ["a user in the target", get(HOST, "GET http://a@bPATH HTTP/1.1"), 400],
  ["a URL without a host", get(HOST, "GET http:///x HTTP/1.1"), 400],
  ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
  ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
  // expectations and limits
  ["another expectation", post("Content-Length: 5\r\nExpect: 200-ok\r\n"), 417],
  ["a head of 64 KiB", get(`${HOST}${"Accept: 0123456789012345678901234567890123456789\r\n".repeat(180)}X: ${"x".repeat(60_000)}\r\n`), 431],
  ["300 header lines", get(HOST + "A: b\r\n".repeat(300)), 431],
]
