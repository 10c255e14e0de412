// A token's whole life through the npm package `scalingo`, unpatched.
const { Client, clientFromToken } = require("scalingo");

async function refusal(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    return { status: error.status, said: error.data, message: error.message };
  }
}

async function main(given) {
  const authApiUrl = `${given.url}/scalingo`;
  const first = await clientFromToken(given.token, { authApiUrl });
  const self = await first.Users.self();
  const created = await first.Tokens.create("made by npm");
  const listed = await first.Tokens.all();
  const jwt = await first.Tokens.exchange(created.token);
  const second = new Client(jwt, { authApiUrl });
  const used = (await second.Tokens.all()).find((each) => each.id === created.id);
  const renewed = await first.Tokens.renew(created.id);
  const told = {
    self, created, renewed,
    listed: listed.map((each) => Object.keys(each)),
    ids: listed.map((each) => each.id),
    used: used.last_used_at,
    old: await refusal(first.Tokens.exchange(created.token)),
    ended: await refusal(second.Tokens.all()),
    unknown: await refusal(first.Tokens.renew("019ca8c1-7b40-7000-8000-3f2a9c51d7e4")),
    nameless: await refusal(first.Tokens.create("")),
    raw: await refusal(new Client(renewed.token, { authApiUrl }).Tokens.all()),
    destroyed: await first.Tokens.destroy(created.id),
    gone: await refusal(first.Tokens.exchange(renewed.token)),
    wrong: await refusal(clientFromToken("tk-us-" + "x".repeat(48), { authApiUrl })),
    forged: await refusal(new Client(jwt.slice(0, -2), { authApiUrl }).Users.self()),
  };
  console.log(JSON.stringify(told));
}

let text = "";
process.stdin.on("data", (piece) => (text += piece));
process.stdin.on("end", () => main(JSON.parse(text)).catch((error) => { console.error(error); process.exit(1); }));
