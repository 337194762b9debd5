"""Hostile text of a registry or a user, for tests of everything that shows text."""

from hypothesis import strategies as st

MARKUP = (
    r"$\frac$",
    r"$x^2$ \alpha",
    "| a | b |",
    "line\nbreak\r\n\n# heading",
    "`code` ``",
    "[link](https://evil.example)",
    "![image](https://evil.example/x.png)",
    "<https://evil.example>",
    "*bold* __bold__ ~~gone~~",
    "&lt;script&gt; &#60;",
    '"><script>alert(1)</script>',
    "<!-- comment -->",
    "]]><![CDATA[",
    "[red]markup[/red] [/]",
    "{{ 7 * 7 }} {% raw %}",
    ' id="a_1" #010203 var(--ink)',
    "\\",
    "\x1b[31m red \x07 \x00",
    "\u202eright to left\u2066",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\u9774\u5b50 \U0001f45f\u200d\U0001f45f",
    "a: b # c",
    "- item\n- item",
    "!tag {a: [b]} &x *x",
    "yes",
    "2001-01-01",
    "W" * 500,
    " spaces  ",
)

# All of Unicode, without lone surrogates, which cannot reach any output.
texts = st.sampled_from(MARKUP) | st.text(min_size=1, max_size=60)
names = st.lists(texts, min_size=10, max_size=10, unique=True)
