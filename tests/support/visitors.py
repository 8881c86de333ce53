"""What browsers and programs call themselves, as seen in the logs of real sites."""

from __future__ import annotations

from typing import Final

_WEBKIT: Final = "AppleWebKit/537.36 (KHTML, like Gecko)"

BROWSERS: Final = {
    "chrome": f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/142.0.0.0 Safari/537.36",
    "firefox": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "safari": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "in the facebook app": f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {_WEBKIT} "
    "Chrome/140.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/440.0;]",
    "a phone called cubot": f"Mozilla/5.0 (Linux; Android 10; CUBOT X30) {_WEBKIT} "
    "Chrome/140.0.0.0 Mobile Safari/537.36",
}
BOTS: Final = {
    "slack": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "facebook": "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "whatsapp": "WhatsApp/2.23.20.0",
    "telegram": "TelegramBot (like TwitterBot)",
    "discord": "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "linkedin": "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "x": "Twitterbot/1.0",
    "imessage": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like "
    "Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
    "skype": "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
    "mastodon": "Mastodon/4.4 (http.rb/5.3; +https://social.example/) Bot",
    "google": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "bing's preview": "Mozilla/5.0 (compatible; BingPreview/1.0b)",
    "barracuda": "Barracuda Sentinel (EE)",
    "headless chrome": f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} HeadlessChrome/142.0.0.0 "
    "Safari/537.36",
    "curl": "curl/8.14.1",
    "python": "Python/3.11 aiohttp/3.14",
}
