package surface

// managerTable lists programs that install software: each is a way to change
// what was approved. Not listed: those that only ask (apt-cache, dpkg-query).
func managerTable() []tool {
	const (
		system   = "installs packages of the operating system"
		language = "installs packages of a language, and runs their scripts"
	)
	return []tool{
		{name: "apk", why: system},
		{name: "apk.static", why: system},
		{name: "apt", why: system},
		{name: "apt-get", why: system},
		{name: "aptitude", why: system},
		{name: "dpkg", why: system},
		{name: "dnf", versions: true, why: system},
		{name: "emerge", why: system},
		{name: "flatpak", why: system},
		{name: "microdnf", why: system},
		{name: "nix", why: system},
		{name: "nix-env", why: system},
		{name: "opkg", why: system},
		{name: "pacman", why: system},
		{name: "rpm", why: system},
		{name: "snap", why: system},
		{name: "tdnf", why: system},
		{name: "yum", why: system},
		{name: "xbps-install", why: system},
		{name: "zypper", why: system},
		{name: "brew", why: system},
		{name: "bundle", versions: true, why: language},
		{name: "bundler", versions: true, why: language},
		{name: "cargo", why: language},
		{name: "composer", why: language},
		{name: "composer.phar", why: language},
		{name: "conda", why: language},
		{name: "cpan", versions: true, why: language},
		{name: "cpanm", why: language},
		{name: "corepack", why: "fetches and runs npm, yarn and pnpm"},
		{name: "easy_install", versions: true, why: language},
		{name: "gem", versions: true, why: language},
		{name: "gradle", why: language},
		{name: "luarocks", versions: true, why: language},
		{name: "mamba", why: language},
		{name: "micromamba", why: language},
		{name: "mvn", why: language},
		{name: "npm", why: language},
		{name: "npx", why: language},
		{name: "nuget", why: language},
		{name: "pdm", why: language},
		{name: "pip", versions: true, why: language},
		{name: "pipenv", why: language},
		{name: "pipx", why: language},
		{name: "pnpm", why: language},
		{name: "poetry", why: language},
		{name: "uv", why: language},
		{name: "uvx", why: language},
		{name: "yarn", why: language},
		{name: "yarnpkg", why: language},
	}
}
