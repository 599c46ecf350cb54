"""A software authenticator: `create` or `get`, a directory for its key, an origin; options come on standard input."""
import base64, hashlib, json, pathlib, subprocess, sys

verb, directory, origin = sys.argv[1:]
options = json.load(sys.stdin)
key, count = pathlib.Path(directory, "key.pem"), pathlib.Path(directory, "count")


def openssl(*args, given=b""):
    return subprocess.run(["openssl", *args], input=given, check=True, capture_output=True).stdout


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


if verb == "create":
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
    count.write_text("0")
    party = options["rp"]["id"]
    pathlib.Path(directory, "handle").write_text(options["user"]["id"])
else:
    count.write_text(str(int(count.read_text()) + 1))
    party = options["rpId"]
spki = openssl("ec", "-in", str(key), "-pubout", "-outform", "DER")
credential = hashlib.sha256(spki).digest()
client = json.dumps({"type": f"webauthn.{verb}", "challenge": options["challenge"], "origin": origin})
data = hashlib.sha256(party.encode()).digest()
data += bytes([0x45 if verb == "create" else 0x05]) + int(count.read_text()).to_bytes(4, "big")
said = {"clientDataJSON": text(client.encode())}
if verb == "create":
    data += bytes(16) + len(credential).to_bytes(2, "big") + credential + b"\xa5"
    said |= {"publicKey": text(spki), "publicKeyAlgorithm": -7, "transports": ["internal"]}
else:
    signed = data + hashlib.sha256(client.encode()).digest()
    said |= {"signature": text(openssl("dgst", "-sha256", "-sign", str(key), given=signed))}
    said |= {"userHandle": pathlib.Path(directory, "handle").read_text()}
said |= {"authenticatorData": text(data)}
print(json.dumps({"id": text(credential), "rawId": text(credential), "type": "public-key", "response": said}))
