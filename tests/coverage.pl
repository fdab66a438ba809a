# SPDX-License-Identifier: GPL-2.0-or-later
#
# What gcov -b -c -t says of the objects of fs/ (standard input), as tables:
# lines and branches by floor, by file, the verifiers, and what no test reached.
#
#	coverage.pl EXCEPT [DOC]
#
# EXCEPT names lines and branches that no test reaches, with the reason: see
# there.  They count as reached, and one that is reached after all is an error,
# so that the list stays true.  The tables go into DOC between its markers.
use strict;
use warnings;

# Where every branch shall be taken: a file, or functions of one.
my @verifiers = (
	[ 'fs/tree/node_check.c', qr/./ ],
	[ 'fs/space/freemap_block.c', qr/./ ],
	[ 'fs/trans/super.c', qr/^(root_wrong|super_\w+|owfs_super_from_disk)$/ ],
	[ 'fs/object/inode.c', qr/_from_disk$/ ],
	[ 'fs/object/extent.c', qr/_from_disk$/ ],
	[ 'fs/object/dir.c', qr/^owfs_dirent_check$/ ],
	[ 'fs/object/xattr.c', qr/^owfs_xattr_check$/ ],
	[ 'fs/object/acl.c', qr/^owfs_acl_check$/ ],
);

my ($except, $doc) = @ARGV;
my (%line, %branch, %text, %function);
my ($file, $function, $no);

while (<STDIN>) {
	if (/^ +-: +0:Source:(.*)/) {
		($file) = $1 =~ m{(?:^|/)(fs/[^/]+/[^/]+\.[ch])$};
		($function, $no) = ('', 0);
	} elsif (!$file) {
		next;
	} elsif (/^function (\S+) called/) {
		$function = $1;
	} elsif (/^ *([-#=\d]+)\*?: *(\d+):(.*)/ && $2) {
		my $count = $1;

		($no, $text{$file}{$2}) = ($2, $3);
		next if $count eq '-';
		$line{$file}{$no} += $count =~ /^\d/ ? $count : 0;
		$function{$file}{$no} = $function;
	} elsif (/^branch +(\d+) (?:taken (\d+)|never)/) {
		# what an assert would do if it failed is not ours
		next if $text{$file}{$no} =~ /^\s*assert\(/;
		$branch{$file}{$no}{$1} += $2 // 0;	# calls are numbered, too
	}
}
die "no counters were found\n" unless %line;

# ----------------------------------------------------------------- exceptions

my $stale = 0;

sub trimmed
{
	my $s = shift;

	$s =~ s/^\s+|\s+$//g;
	return $s;
}

sub spare
{
	my ($where, $what, $like) = @_;
	my $spared = 0;

	for my $no (keys %{ $line{$where} // {} }) {
		next if trimmed($text{$where}{$no}) ne $like;
		if ($what eq 'line' && !$line{$where}{$no}) {
			$line{$where}{$no} = 1;
			$_ ||= 1 for values %{ $branch{$where}{$no} // {} };
			$spared++;
		} elsif ($what eq 'branch') {
			for (values %{ $branch{$where}{$no} // {} }) {
				$spared++ if !$_;
				$_ ||= 1;
			}
		}
	}
	return if $spared;
	print "not needed in $except: $where: $like\n";
	$stale = 1;
}

if (open(my $in, '<', $except)) {
	while (<$in>) {
		next unless /^(line|branch) (\S+): (.*)/;
		spare($2, $1, trimmed($3));
	}
}

# -------------------------------------------------------------------- counting

sub count
{
	my ($where, $only) = @_;
	my @n = (0, 0, 0, 0);	# lines, of those reached, branches, taken

	for my $no (keys %{ $line{$where} // {} }) {
		next if $only && $function{$where}{$no} !~ $only;
		$n[0]++;
		$n[1]++ if $line{$where}{$no};
		for (values %{ $branch{$where}{$no} // {} }) {
			$n[2]++;
			$n[3]++ if $_;
		}
	}
	return @n;
}

sub percent
{
	my ($part, $all) = @_;

	return '-' unless $all;
	return $part == $all ? '100' : sprintf '%.1f', int(1000 * $part / $all) / 10;
}

sub row
{
	my ($name, @n) = @_;

	return sprintf "| %s | %d | %s | %d | %s |\n", $name, $n[0],
		percent($n[1], $n[0]), $n[2], percent($n[3], $n[2]);
}

sub add
{
	my ($sum, @n) = @_;

	$sum->[$_] += $n[$_] for 0 .. 3;
}

my $head = "lines | reached, % | branches | taken, % |\n|---|---:|---:|---:|---:|\n";
my @floors = qw(base io space tree trans object file fuse);
my (%floor, @all, @sure);
for my $where (keys %line) {
	my ($name) = $where =~ m{^fs/([^/]+)/};

	add($floor{$name} //= [], count($where));
}
my $floors = "| floor | $head";
for (@floors) {
	next unless $floor{$_};
	$floors .= row("fs/$_", @{ $floor{$_} });
	add(\@all, @{ $floor{$_} });
}
$floors .= row('fs', @all);

my $sure = "| verifiers | $head";
for (@verifiers) {
	my ($where, $only) = @$_;
	my @n = count($where, $only);

	$sure .= row("`$where`", @n);
	add(\@sure, @n);
}

# ---------------------------------------------------------------------- saying

print "| file | $head";
print row($_, count($_)) for sort keys %line;
print "\nnot reached:\n";
for my $where (sort keys %line) {
	for my $no (sort { $a <=> $b } keys %{ $line{$where} }) {
		print "$where:$no: $text{$where}{$no}\n" unless $line{$where}{$no};
	}
}
print "\nbranches of verifiers not taken:\n";
for (@verifiers) {
	my ($where, $only) = @$_;

	for my $no (sort { $a <=> $b } keys %{ $branch{$where} // {} }) {
		next if $function{$where}{$no} !~ $only;
		my $taken = $branch{$where}{$no};
		my @b = map { $taken->{$_} } sort { $a <=> $b } keys %$taken;
		next unless grep { !$_ } @b;
		print "$where:$no: [@b] $text{$where}{$no}\n";
	}
}
print "\n$floors\n$sure\n";

if (defined $doc) {
	local $/;
	open(my $in, '<', $doc) or die "$doc: $!\n";
	my $all = <$in>;
	$all =~ s/(<!-- coverage begin -->\n).*?(<!-- coverage end -->)/$1$floors\n$sure$2/s
		or die "$doc: no place for the coverage\n";
	open(my $out, '>', $doc) or die "$doc: $!\n";
	print $out $all;
}
printf "lines=%s branches=%s verifier_branches=%s\n", percent(@all[1, 0]),
	percent(@all[3, 2]), percent(@sure[3, 2]);
exit($stale || $all[1] < 0.95 * $all[0] || $sure[3] < $sure[2]);
