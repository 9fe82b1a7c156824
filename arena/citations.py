"""What to cite for a model: the methods that made it, as BibTeX. Pure."""

from collections.abc import Mapping

from db.entities.runs import RunKind

DPO = """@inproceedings{rafailov2023dpo,
  title = {Direct Preference Optimization: Your Language Model is Secretly a Reward Model},
  author = {Rafailov, Rafael and Sharma, Archit and Mitchell, Eric and Manning, Christopher D. and Ermon, Stefano and Finn, Chelsea},
  booktitle = {Advances in Neural Information Processing Systems 36}, year = {2023}
}"""
KTO = """@inproceedings{ethayarajh2024kto,
  title = {Model Alignment as Prospect Theoretic Optimization},
  author = {Ethayarajh, Kawin and Xu, Winnie and Muennighoff, Niklas and Jurafsky, Dan and Kiela, Douwe},
  booktitle = {International Conference on Machine Learning}, year = {2024}
}"""
IPO = """@inproceedings{azar2024ipo,
  title = {A General Theoretical Paradigm to Understand Learning from Human Preferences},
  author = {Azar, Mohammad Gheshlaghi and others},
  booktitle = {International Conference on Artificial Intelligence and Statistics}, year = {2024}
}"""
ROBUST = """@inproceedings{chowdhury2024robust,
  title = {Provably Robust {DPO}: Aligning Language Models with Noisy Feedback},
  author = {Ray Chowdhury, Sayak and Kini, Anush and Natarajan, Nagarajan},
  booktitle = {International Conference on Machine Learning}, year = {2024}
}"""
APO = """@article{doosterlinck2025apo,
  title = {Anchored Preference Optimization and Contrastive Revisions: Addressing Underspecification in Alignment},
  author = {D'Oosterlinck, Karel and others}, journal = {Transactions of the Association for Computational Linguistics}, year = {2025}
}"""
LORA = """@inproceedings{hu2022lora,
  title = {{LoRA}: Low-Rank Adaptation of Large Language Models},
  author = {Hu, Edward J. and Shen, Yelong and Wallis, Phillip and Allen-Zhu, Zeyuan and Li, Yuanzhi and Wang, Shean and Wang, Lu and Chen, Weizhu},
  booktitle = {International Conference on Learning Representations}, year = {2022}
}"""
QLORA = """@inproceedings{dettmers2023qlora,
  title = {{QLoRA}: Efficient Finetuning of Quantized {LLMs}},
  author = {Dettmers, Tim and Pagnoni, Artidoro and Holtzman, Ari and Zettlemoyer, Luke},
  booktitle = {Advances in Neural Information Processing Systems 36}, year = {2023}
}"""
TRL = """@software{vonwerra2020trl,
  title = {{TRL}: Transformers Reinforcement Learning},
  author = {von Werra, Leandro and Belkada, Younes and Tunstall, Lewis and Beeching, Edward and Thrush, Tristan and Lambert, Nathan and Huang, Shengyi and Rasul, Kashif and Gallou{\\'e}dec, Quentin},
  url = {https://github.com/huggingface/trl}, year = {2020}
}"""
PEFT = """@software{mangrulkar2022peft,
  title = {{PEFT}: State-of-the-art Parameter-Efficient Fine-Tuning methods},
  author = {Mangrulkar, Sourab and Gugger, Sylvain and Debut, Lysandre and Belkada, Younes and Paul, Sayak and Bossan, Benjamin},
  url = {https://github.com/huggingface/peft}, year = {2022}
}"""
DAWID = """@article{dawid1979maximum,
  title = {Maximum Likelihood Estimation of Observer Error-Rates Using the {EM} Algorithm},
  author = {Dawid, A. P. and Skene, A. M.},
  journal = {Journal of the Royal Statistical Society C}, volume = {28}, pages = {20--28}, year = {1979}
}"""
BRADLEY = """@article{bradley1952rank,
  title = {Rank Analysis of Incomplete Block Designs: {I}. The Method of Paired Comparisons},
  author = {Bradley, Ralph Allan and Terry, Milton E.},
  journal = {Biometrika}, volume = {39}, pages = {324--345}, year = {1952}
}"""
LOSSES = {"ipo": IPO, "robust": ROBUST, "apo_zero": APO}


def citations(
    kind: RunKind | None, settings: Mapping[str, object], policy: Mapping[str, object], *, adapter: bool
) -> list[str]:
    """The entries for a run of this kind, its loss, its adapter and the way its pairs were made."""
    if kind is None:
        return [TRL]
    of_kind = {RunKind.DPO: [DPO], RunKind.KTO: [KTO], RunKind.REWARD: [BRADLEY], RunKind.SFT: []}[kind]
    loss = LOSSES.get(str(settings.get("loss")))
    found = [*of_kind, *([loss] if loss else []), TRL]
    if adapter:
        found += [PEFT, LORA]
    if settings.get("quantize") == "4bit":
        found.append(QLORA)
    if policy.get("method") == "consensus" or policy.get("weighted"):
        found.append(DAWID)
    return found
