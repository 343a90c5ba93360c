"""One exchange from arrival to record; the live gateway and replay both run it."""
