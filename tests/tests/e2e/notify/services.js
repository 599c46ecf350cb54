// A push service, an ntfy server, a webhook and a mail server, on this machine. What they get is
// written down, a JSON line each; pushes are opened by http_ece, which shares no code with wsm.
//   node services.js DIRECTORY   with cert.pem, key.pem, node_modules/http_ece; writes got.jsonl
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const https = require('https');
const net = require('net');
const path = require('path');

const dir = process.argv[2];
const ece = require(path.join(dir, 'node_modules/http_ece'));
const got = (what) => fs.appendFileSync(path.join(dir, 'got.jsonl'), JSON.stringify(what) + '\n');

const browser = crypto.createECDH('prime256v1');
browser.generateKeys();
const auth = crypto.randomBytes(16);
const url64 = (bytes) => bytes.toString('base64url');

// RFC 8292: the claims, if who sent it signed them.
function vapid(header) {
  const [, token, key] = /^vapid t=([^,]+), k=(.+)$/.exec(header);
  const [head, claims, signature] = token.split('.');
  const point = Buffer.from(key, 'base64url');
  const jwk = { kty: 'EC', crv: 'P-256', x: url64(point.subarray(1, 33)), y: url64(point.subarray(33)) };
  const pub = crypto.createPublicKey({ key: jwk, format: 'jwk' });
  const how = { key: pub, dsaEncoding: 'ieee-p1363' };
  const good = crypto.verify('sha256', `${head}.${claims}`, how, Buffer.from(signature, 'base64url'));
  return { good, key, ...JSON.parse(Buffer.from(claims, 'base64url')) };
}

let busy = 0;
function push(name, request, body) {
  if (name === 'gone') return [410, {}];
  if (name === 'busy' && busy++ === 0) return [429, { 'Retry-After': '1' }];
  const message = ece.decrypt(body, { version: 'aes128gcm', privateKey: browser, authSecret: auth });
  got({
    by: 'push', name, at: Date.now(), bytes: body.length, vapid: vapid(request.headers.authorization),
    ttl: request.headers.ttl, urgency: request.headers.urgency, topic: request.headers.topic,
    message: JSON.parse(message),
  });
  return [201, {}];
}

const cert = fs.readFileSync(path.join(dir, 'cert.pem'));
const key = fs.readFileSync(path.join(dir, 'key.pem'));
const server = https.createServer({ cert, key }, (request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts);
    const [, kind, name] = request.url.split('/');
    let [status, headers] = [200, {}];
    if (kind === 'push') {
      [status, headers] = push(name, request, body);
    } else {
      got({ by: kind, headers: request.headers, body: body.toString() });
    }
    response.writeHead(status, headers);
    response.end();
  });
});

// As much of SMTP as a client needs.
const mail = net.createServer((socket) => {
  let [buffer, data] = ['', null];
  socket.write('220 fake\r\n');
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    buffer += bytes.toString();
    for (let end; (end = buffer.indexOf('\r\n')) >= 0; ) {
      const line = buffer.slice(0, end);
      buffer = buffer.slice(end + 2);
      if (data !== null && line !== '.') data.push(line);
      else if (data !== null) {
        got({ by: 'mail', lines: data });
        data = null;
        socket.write('250 taken\r\n');
      } else if (line === 'DATA') {
        data = [];
        socket.write('354 go on\r\n');
      } else socket.write(line === 'QUIT' ? '221 bye\r\n' : '250 ok\r\n');
    }
  });
});

server.listen(0, '127.0.0.1', () => mail.listen(0, '127.0.0.1', () => {
  const keys = { p256dh: url64(browser.getPublicKey()), auth: url64(auth) };
  console.log(JSON.stringify({ port: server.address().port, mail: mail.address().port, keys }));
}));
