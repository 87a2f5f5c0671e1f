"""Texts of one class each: made-up messages to a shop's support, in English and Japanese.

Nobody wrote these messages: each is put together from the phrases below. What makes real ones hard makes
these hard too: the same words stand in messages of every kind (an order is paid, sent, broken and returned),
half of them mention a second matter in passing, some only hint at what they want, and they are typed in a
hurry, with letters left out and swapped. The truth is what the writer wants, not what is mentioned beside it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence

from truthloop_cli.demo_data import Example, Plan, Sizes

PLAN = Plan(
    name="messages",
    what="made-up messages to a shop's support in English and Japanese",
    label_categories=["delivery", "payment", "product", "return", "account"],
    label_attribute="topic",
    labeling={
        "task_title": "What is the message about? / 何についての問い合わせですか",
        "task_description": "Read the message and choose what the customer wants help with.",
        "task_keywords": ["text", "support"],
        "instructions": "Choose what the customer wants now, not what is only mentioned beside it.\n"
        "ついでに書かれていることではなく、お客様がいま求めていることを選んでください。\n"
        "delivery 配送 · payment 支払い · product 商品そのもの · return 返品や交換 · account アカウント",
    },
    sizes=Sizes(60, 3000, 1600),
    seed_size=40,
    round_size=40,
    rounds=6,
    seconds=2.5,
    confusion={"annotator-4": {"return": "product"}, "annotator-5": {"product": "return"}},
)

_JAPANESE_SHARE = 0.4
_ASIDE_SHARE = 0.5
_HINT_SHARE = 0.12
_TYPOS_PER_WORD = 0.06
_TYPOS_PER_CHARACTER = 0.015

# (a|b) is one of both, and {name} one of the words of that name.
_WORDS = {
    "item": [
        "kettle",
        "backpack",
        "lamp",
        "keyboard",
        "jacket",
        "blender",
        "tent",
        "camera",
        "chair",
        "watch",
    ],
    "order": ["order", "parcel", "package", "order 40{digit}", "purchase"],
    "day": ["Monday", "Tuesday", "last week", "yesterday", "the 3rd", "two days ago", "this morning"],
    "digit": list("0123456789"),
    "item_ja": ["やかん", "リュック", "ランプ", "キーボード", "上着", "テント", "カメラ", "椅子", "腕時計"],
    "order_ja": ["注文", "荷物", "商品", "注文番号40{digit}"],
    "day_ja": ["月曜日", "先週", "昨日", "3日", "一昨日", "今朝"],
}

_ENGLISH: Mapping[str, Sequence[str]] = {
    "delivery": (
        "my {order} (still has not|hasn't) (arrived|come|shown up)",
        "where is the {item} I (ordered|bought) {day}?",
        "the tracking (page|number) has not (changed|moved) since {day}",
        "the courier (left|dropped) the {order} at the wrong (address|door|house)",
        "it says handed over, but nobody (brought|gave) me anything",
        "can you (send|ship) the {item} to my office instead?",
        "how (long|many days) will the {item} be on its way?",
        "the driver did not ring (the bell|) and went away (again|)",
        "I am not at home {day}, please bring the {order} later",
        "only one of two boxes has (reached me|come)",
        "is it possible to pick the {order} up at your (store|depot)?",
        "the {order} is stuck (at customs|in the depot|somewhere) since {day}",
    ),
    "payment": (
        "I was charged twice for (my|the) {order}",
        "my card was (declined|refused) but the money is gone",
        "the amount on the (invoice|bill) is (wrong|higher than agreed)",
        "please send me an invoice for the {item}",
        "the (discount|voucher) code for the {item} was not taken off",
        "can I pay for the {order} in (instalments|three parts)?",
        "I (transferred|sent) the money {day}, but the shop says unpaid",
        "why does the price differ from what I saw {day}?",
        "there is a fee on my statement that I do not (know|understand)",
        "when will the amount for the {item} be (booked|taken)?",
        "you took 1{digit} dollars too much",
        "I want to (use|try) another card for the {order}",
    ),
    "product": (
        "the {item} (stopped working|broke|went dead) after {digit} days",
        "the {item} makes a (strange|loud) noise",
        "there is a (scratch|crack|dent) on the {item}",
        "how do I (clean|charge|set up) the {item}?",
        "a (screw|part|cable) of the {item} is missing in the box",
        "the {item} does not (turn on|fit|close) any more",
        "is the {item} (waterproof|suitable for children|available in blue)?",
        "the manual of the {item} is only in German",
        "the {item} gets (very hot|warm) when I use it",
        "which batteries does the {item} need?",
        "the colour of the {item} is not (the one|what is) in the picture",
        "the {item} smells (odd|burnt) since {day}",
    ),
    "return": (
        "I want to (send back|return) the {item}",
        "please (swap|exchange) the {item} for a (bigger|smaller) one",
        "how can I (cancel|call off) my {order}?",
        "I changed my mind about the {item}",
        "where is the label for sending the {item} back?",
        "I sent the {item} back {day}, what happens now?",
        "until when can I give the {item} back?",
        "I need the {item} in another size",
        "please stop the {order}, I do not need it any more",
        "the {item} was a gift and we have one already, take it back please",
        "you have had my old {item} since {day}, when do I get the new one?",
        "can I bring the {item} back to a store?",
    ),
    "account": (
        "I cannot (log in|sign in) (any more|since {day})",
        "I forgot my password and the (mail|link) does not come",
        "please change my (e-mail|phone number|name)",
        "delete my (data|profile|account) please",
        "somebody else uses my profile",
        "I get too many (mails|newsletters) from you",
        "the code for the second step never (comes|works)",
        "my old orders are not shown in my profile",
        "I have two profiles, please (join|merge) them",
        "the app (throws me out|asks for the password) again and again",
        "how do I change the address that is saved?",
        "my (points|stars) have disappeared from the app",
    ),
}
_HINTS: Mapping[str, Sequence[str]] = {
    "delivery": ("I have been waiting at the window since {day}", "when can I expect the {item}?"),
    "payment": ("please check the numbers once more", "the bank says it is your fault"),
    "product": ("it worked on {day}, now it does not", "is it meant to be like this?"),
    "return": ("it is simply not for me", "what do I do with the {item} now?"),
    "account": ("it says that I do not exist", "it no longer knows me since {day}"),
}
_ASIDES = (
    "The {order} came on {day}.",
    "I paid by card {day}.",
    "I (bought|ordered) the {item} {day}.",
    "The {item} itself is (fine|nice).",
    "Sending things back was easy last time.",
    "I am (logged in|signed in) as usual.",
    "The driver was friendly, by the way.",
    "The price was good.",
    "I have had a profile with you for years.",
    "I already returned one {item} before.",
)
_OPENINGS = ("Hello,", "Hi", "Dear team,", "Good morning,", "Hey there,", "", "", "")
_CLOSINGS = ("Thanks!", "Please help.", "Regards, K.", "I am (annoyed|waiting).", "Any idea?", "", "", "")

_JAPANESE: Mapping[str, Sequence[str]] = {
    "delivery": (
        "{order_ja}が(まだ届きません|届いていません|来ないのですが)",
        "{day_ja}に頼んだ{item_ja}は(いつ届きますか|どこにありますか)",
        "追跡番号の表示が{day_ja}から変わりません",
        "配達員が違う家に{order_ja}を置いていきました",
        "{item_ja}を会社に送ってもらえますか",
        "{day_ja}は留守なので、{order_ja}は別の日に(お願いします|してください)",
        "2箱のうち1箱しか来ていません",
        "店舗で{order_ja}を受け取れますか",
    ),
    "payment": (
        "{order_ja}の代金が二重に引き落とされました",
        "カードが(使えませんでした|拒否されました)",
        "請求書の金額が(違います|おかしいです)",
        "{item_ja}の領収書を(ください|送ってください)",
        "割引コードが{item_ja}に使われていません",
        "{order_ja}を分割で払えますか",
        "{day_ja}に振り込んだのに未払いと出ます",
        "明細に知らない手数料があります",
    ),
    "product": (
        "{item_ja}が{digit}日で(動かなくなりました|壊れました)",
        "{item_ja}から変な音がします",
        "{item_ja}に(傷|へこみ)があります",
        "{item_ja}の(使い方|洗い方|充電方法)を教えてください",
        "{item_ja}の部品が箱に入っていません",
        "{item_ja}は(防水ですか|子供でも使えますか)",
        "{item_ja}がとても熱くなります",
        "{item_ja}の色が写真と違います",
    ),
    "return": (
        "{item_ja}を(返品|返却)したいです",
        "{item_ja}を大きいサイズに(交換|取り替え)てください",
        "{order_ja}を(取り消したい|キャンセルしたい)です",
        "{item_ja}を送り返す伝票はどこですか",
        "{day_ja}に{item_ja}を送り返しましたが、どうなりましたか",
        "{item_ja}はいつまで返せますか",
        "{order_ja}を止めてください、もういりません",
        "{item_ja}は店で返せますか",
    ),
    "account": (
        "{day_ja}から(ログインできません|入れません)",
        "パスワードを忘れ、メールも来ません",
        "メールアドレスを変えてください",
        "登録情報を(消して|削除して)ください",
        "誰かが私の名前で使っています",
        "お知らせのメールが多すぎます",
        "登録した住所はどこで直せますか",
        "アプリのポイントが消えました",
    ),
}
_HINTS_JAPANESE: Mapping[str, Sequence[str]] = {
    "delivery": ("{day_ja}からずっと待っています",),
    "payment": ("数字をもう一度見てください",),
    "product": ("これで正しいのでしょうか",),
    "return": ("やはり私には合いません",),
    "account": ("私のことを知らないと言われます",),
}
_ASIDES_JAPANESE = (
    "{order_ja}は{day_ja}に届きました。",
    "{day_ja}にカードで払いました。",
    "{item_ja}を{day_ja}に買いました。",
    "{item_ja}そのものは良いです。",
    "前に返品したときは簡単でした。",
    "いつも通りログインしています。",
    "配達の方は親切でした。",
    "値段は満足です。",
)
_OPENINGS_JAPANESE = ("こんにちは。", "お世話になります。", "はじめまして。", "", "")
_CLOSINGS_JAPANESE = ("よろしくお願いします。", "困っています。", "教えてください。", "", "")

_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_WORD = re.compile(r"\{(\w+)\}")


def examples(size: int, seed: int) -> Iterator[Example]:
    """`size` messages, all different."""
    draw = random.Random(f"messages {seed}")  # noqa: S311
    seen: set[str] = set()
    while len(seen) < size:
        topic = draw.choice(PLAN.label_categories)
        japanese = draw.random() < _JAPANESE_SHARE
        text = _japanese(draw, topic) if japanese else _english(draw, topic)
        if text not in seen:
            seen.add(text)
            yield Example(
                text, topic, {"ticket": {"number": len(seen), "language": "ja" if japanese else "en"}}
            )


def _english(draw: random.Random, topic: str) -> str:
    core = draw.choice(_HINTS[topic] if draw.random() < _HINT_SHARE else _ENGLISH[topic])
    core = core if core[-1] in "?!" else core + "."
    parts = [core[0].upper() + core[1:]]
    if draw.random() < _ASIDE_SHARE:
        parts.insert(draw.randrange(2), draw.choice(_ASIDES))
    parts = [draw.choice(_OPENINGS), *parts, draw.choice(_CLOSINGS)]
    words = _filled(draw, " ".join(part for part in parts if part)).split()
    return " ".join(_mistyped(draw, word) if draw.random() < _TYPOS_PER_WORD else word for word in words)


def _japanese(draw: random.Random, topic: str) -> str:
    core = draw.choice(_HINTS_JAPANESE[topic] if draw.random() < _HINT_SHARE else _JAPANESE[topic])
    parts = [core + "。"]
    if draw.random() < _ASIDE_SHARE:
        parts.insert(draw.randrange(2), draw.choice(_ASIDES_JAPANESE))
    text = _filled(draw, draw.choice(_OPENINGS_JAPANESE) + "".join(parts) + draw.choice(_CLOSINGS_JAPANESE))
    return "".join(letter for letter in text if draw.random() >= _TYPOS_PER_CHARACTER)


def _filled(draw: random.Random, text: str) -> str:
    text = _CHOICE.sub(lambda found: draw.choice(found[1].split("|")), text)
    while _WORD.search(text):
        text = _WORD.sub(lambda found: draw.choice(_WORDS[found[1]]), text)
    return text


def _mistyped(draw: random.Random, word: str) -> str:
    """The word with a letter left out, doubled, or swapped with the next."""
    if len(word) < 4:
        return word
    place = draw.randrange(1, len(word) - 1)
    swapped = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return draw.choice([word[:place] + word[place + 1 :], word[: place + 1] + word[place:], swapped])
