// Apache with the sites that people copy (deploy/apache), and with the options that a test switches
// on; and Apache as a hosting company runs it, for deploy/shared-hosting.

import { execFileSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import { cleanEnv, freePort, launch, processesNaming, root, sleep } from "../harness.mjs"
import { request } from "../http.mjs"
import { fill, writer } from "./fill.mjs"

const deploy = path.join(root, "deploy/apache")
const read = (name) => fs.readFileSync(path.join(deploy, name), "utf8")
/** matches directives, not comments, for the values in their text */
const withoutComments = (text) => text.replace(/^\s*#.*\n/gm, "")
const quote = (text) => `"${String(text).replace(/[\\"]/g, "\\$&")}"`

/** The modules that the heads of these files tell a person to enable. */
function modulesOf(texts) {
  const names = new Set()
  for (const text of texts)
    for (const [, line] of text.matchAll(/^#\s+a2enmod (.+)$/gm))
      line.split(/\s+/).forEach((name) => names.add(name))
  return [...names]
    .map((name) =>
      name === "pcre3" // no module of Apache's, but what mod_qos needs: see options/rate-limit.conf
        ? "LoadFile libpcre.so.3"
        : `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`
    )
    .join("\n")
}

/**
 * Uncomments the lines that include these options, and their parts outside of
 * <VirtualHost>; returns the site and the names of the files that it includes now.
 */
function switchOn(site, options) {
  const files = []
  for (const option of options) {
    const line = new RegExp(`#(Include \\S+/apache/(${option}(?:-provider)?)\\.conf)$`, "gm")
    site = site.replace(line, (_, include, name) => {
      files.push(name)
      return include
    })
    if (!files.includes(option)) throw new Error(`the site has no line for the option ${option}`)
  }
  return { site, files }
}

const WWW_DATA = 33

/**
 * The command that runs another one as this user, if root runs the tests; Apache refuses to be root.
 * With `anywhere`, a capability lets Apache and its children read the files of tests and of services
 * that root started.
 */
export function asUser(id, { anywhere = false } = {}) {
  if (process.getuid() !== 0) return []
  const own = [`--reuid=${id}`, `--regid=${id}`, "--clear-groups", "--pdeathsig=TERM"]
  const caps = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
  return ["setpriv", ...own, ...(anywhere ? caps : [])]
}

/** The settings that a program which Apache starts must get from Apache. */
const settings = (env) =>
  Object.entries(cleanEnv(env)).filter(([name]) => /^DS_|SAN_OPTIONS$|^TMPDIR$/.test(name))

/** The program's settings for mod_fcgid: in place of the database's line, and of their own lines. */
function fcgidEnv(site, database, env) {
  for (const [name] of settings(env))
    if (name !== "DS_DATABASE")
      site = site.replace(new RegExp(`( \\\\\\n\\s+InitialEnv ${name}=\\S+)`, "g"), "")
  const lines = settings({ ...env, DS_DATABASE: database }).map(
    ([name, value]) => `InitialEnv ${quote(`${name}=${value}`)}`
  )
  return fill(site, {
    "InitialEnv DS_DATABASE=/var/lib/durable-streams/streams.db": lines.join(" \\\n    "),
  })
}

const cgiEnv = (site, database, env) =>
  fill(site, {
    "SetEnv DS_DATABASE /var/lib/durable-streams/streams.db": settings({
      ...env,
      DS_DATABASE: database,
    })
      .map(([name, value]) => `SetEnv ${name} ${quote(value)}`)
      .join("\n    "),
  })

/** A home folder with the program in it, as a person installs it; DS_* go to its settings. */
function installHome({ home, program, database, env }) {
  fs.mkdirSync(home, { recursive: true })
  execFileSync("sh", [path.join(root, "deploy/shared-hosting/install.sh")], {
    env: { ...cleanEnv(), HOME: home, PROGRAM: program },
  })
  fs.writeFileSync(
    path.join(home, "durable-streams/settings"),
    settings({ ...env, DS_DATABASE: database })
      .map(([name, value]) => `${name}='${value}'\n`)
      .join("")
  )
}

/**
 * A host that gives its users ~/public_html with CGI, and no more rights than these in .htaccess.
 * home: the user's; it is served at /~alice/, and at / on a port of its own.
 */
function sharedSite(home, port, rootPort, allow, access) {
  const web = path.join(home, "public_html")
  return `# a2enmod userdir rewrite mime cgid dir headers authn_core authn_file authz_user auth_basic
Listen 127.0.0.1:${rootPort}
# Room for readers: a process without an idle thread closes kept connections, and a client that sends
# in that very moment sees a failure which is not ours.
ServerLimit 4
ThreadLimit 512
ThreadsPerChild 512
MaxRequestWorkers 2048
StartServers 1
MaxSpareThreads 2048
KeepAliveTimeout 60
UserDir ${quote(path.join(path.dirname(home), "*", "public_html"))}

<Directory ${quote(web)}>
    Require ${access}
    Options SymLinksIfOwnerMatch
    AllowOverride ${allow}
</Directory>
<VirtualHost 127.0.0.1:${port}>
    DocumentRoot ${quote(path.join(home, "no-such-folder"))}
    AllowEncodedSlashes NoDecode
</VirtualHost>
<VirtualHost 127.0.0.1:${rootPort}>
    DocumentRoot ${quote(web)}
    AllowEncodedSlashes NoDecode
</VirtualHost>
`
}

/**
 * Apache on a port of its own.
 *
 *   kind      "proxy" in front of the one socket; "fcgid" and "cgi" start `program` themselves with
 *             `database` and the DS_* of `env`; "shared" serves the public_html of `home`
 *   options   names of files in deploy/apache/options
 *   values    other text in these files, and its replacement:
 *             { "/etc/durable-streams/users": "/tmp/x/users" }
 *   edit      changes a file before it is used: (name, text) => text
 *   home      the user's home, already with public_html (kind "shared"); otherwise one is made
 *   user      number of the user to be, where root starts it (kind "shared")
 *   allow     what .htaccess may set (kind "shared")
 *   access    what Apache requires of a request there (kind "shared")
 *
 * `pids()` are the processes of the program that Apache has started. With kind "shared", `url` is that
 * of the user's folder and `atRoot` one where the same folder is a site of its own.
 */
export async function startApache({
  folder,
  kind,
  sockets = [],
  program,
  database,
  env = {},
  log,
  options = [],
  values = {},
  edit,
  home,
  user,
  allow = "FileInfo Options=ExecCGI",
  access = "all granted",
}) {
  const port = await freePort()
  const own = path.join(folder, `apache-${port}`)
  const bin = path.join(own, "bin")
  const write = writer(own, edit)
  fs.mkdirSync(own, { recursive: true })
  fs.mkdirSync(path.join(own, "fcgid"), { recursive: true })

  let site, atRoot
  let files = []
  if (kind === "shared") {
    const rootPort = await freePort()
    atRoot = `http://127.0.0.1:${rootPort}`
    if (!home) {
      home = path.join(own, "home/alice")
      installHome({ home, program, database, env })
    }
    site = sharedSite(home, port, rootPort, allow, access)
  } else {
    ;({ site, files } = switchOn(read(`${kind}.conf`), options))
  }
  const optionTexts = files.map((name) => read(`options/${name}.conf`))
  const modules = modulesOf([site, ...optionTexts])

  if (kind !== "shared") {
    site = withoutComments(site)
    const replace = {
      "<VirtualHost *:80>": `<VirtualHost 127.0.0.1:${port}>`,
      "DURABLE_STREAMS_HOST streams.example.org": "DURABLE_STREAMS_HOST 127.0.0.1",
    }
    if (options.length > 0) replace["/etc/durable-streams/apache"] = own
    if (kind === "proxy") {
      if (sockets.length !== 1) throw new Error("Apache's site file is for one socket")
      replace["unix:/run/durable-streams/app.sock"] = `unix:${sockets[0]}`
    } else {
      // a copy: pids() finds it by its name, and a rebuild does not change it
      fs.mkdirSync(bin, { recursive: true })
      fs.copyFileSync(program, path.join(bin, "durable-streams.fcgi"))
      site = kind === "fcgid" ? fcgidEnv(site, database, env) : cgiEnv(site, database, env)
      replace["/usr/lib/durable-streams"] = bin
    }
    site = fill(site, replace)
  }

  const used = new Set()
  files.forEach((name, i) => {
    let text = withoutComments(optionTexts[i])
    if (name === "faults") {
      fs.copyFileSync("/bin/true", path.join(own, "nph-drop"))
      text = fill(text, { "/etc/durable-streams/apache": own })
    }
    const here = Object.entries(values).filter(([from]) => text.includes(from))
    here.forEach(([from]) => used.add(from))
    write(`${name}.conf`, fill(text, Object.fromEntries(here)))
  })
  const unused = Object.keys(values).filter((from) => !used.has(from))
  if (unused.length > 0) throw new Error(`not found in the options: ${unused.join(", ")}`)

  const config = write(
    "apache.conf",
    fill(withoutComments(read("main.conf")), {
      "@RUN@": own,
      "@HOST@": "127.0.0.1",
      "@PORT@": String(port),
      "@USER@": "",
      "@MODULES@": modules,
      "@SITE@": write("site.conf", site),
    }).replace(/^LoadModule .*\n/gm, onlyOnce())
  )

  if (process.getuid() === 0)
    for (const made of [own, path.join(own, "fcgid")])
      fs.chownSync(made, user ?? WWW_DATA, user ?? WWW_DATA)
  const argv = [
    ...asUser(user ?? WWW_DATA, { anywhere: user === undefined }),
    ...["apache2", "-d", own, "-f", config, "-DFOREGROUND"],
  ]
  const child = launch(argv[0], argv.slice(1), { log, cwd: own })
  const pids = () => processesNaming(bin).map((line) => Number(line.split(" ")[0]))
  if (kind === "fcgid" && options.length === 0) await warmUp(child, port, pids)
  const scheme = options.includes("tls") ? "https" : "http"
  return {
    child,
    kind,
    url: `${scheme}://127.0.0.1:${port}${kind === "shared" ? "/~alice" : ""}`,
    atRoot,
    folder: own,
    pids,
  }
}

/**
 * mod_fcgid starts another process only after a request has waited for a free one for a second. Tests
 * with time-outs of a second need some processes before they begin.
 */
async function warmUp(child, port, pids) {
  const url = `http://127.0.0.1:${port}`
  const end = Date.now() + 20_000
  while (child.exitCode === null && pids().length < 6 && Date.now() < end) {
    const ask = () => request(url, "GET", "/health", { fresh: true }).catch(() => sleep(50))
    await Promise.all(Array.from({ length: 32 }, ask))
  }
}

/** Apache warns of a module that is loaded twice. */
function onlyOnce() {
  const seen = new Set()
  return (line) => (seen.has(line) ? "" : (seen.add(line), line))
}
